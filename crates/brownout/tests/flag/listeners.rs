//! User code that is called while a flag changes may ask the flag, and may panic.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

use brownout::{
    flag::Flag,
    registry::{
        DegradationLevel::Emergency,
        FeatureState::{Degraded, Disabled, Enabled},
    },
};
use tracing::{Event, Metadata, Subscriber, span};

use crate::common::{MINUTE, exact_in, fail, history, impose, impose_level, registry};

/// A subscriber that asks the flag for its state at each event, and may panic.
struct Asking {
    flag: Arc<Mutex<Option<Flag>>>,
    seen: Arc<Mutex<Vec<brownout::registry::FeatureState>>>,
    panics: bool,
}

impl Subscriber for Asking {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        if !event.metadata().target().starts_with("brownout::flag") {
            return;
        }
        let flag = self.flag.lock().unwrap().clone();
        if let Some(flag) = flag {
            self.seen.lock().unwrap().push(flag.state());
            let _ = flag.stats();
        }
        assert!(!self.panics, "a log that panics");
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_log_subscriber_may_ask_the_flag_and_sees_the_new_state() {
    let registry = registry();
    let flag = exact_in(&registry).build().unwrap();
    let seen = Arc::default();
    let asking = Asking {
        flag: Arc::new(Mutex::new(Some(flag.clone()))),
        seen: Arc::clone(&seen),
        panics: false,
    };
    tracing::subscriber::with_default(asking, || {
        fail(&flag, 5);
        flag.configure(Disabled);
    });
    assert_eq!(
        *seen.lock().unwrap(),
        [
            Enabled, Enabled, Enabled, Enabled, Enabled, Degraded, Disabled
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_log_that_panics_silences_nobody() {
    let registry = registry();
    let flag = exact_in(&registry).build().unwrap();
    let asking = Asking {
        flag: Arc::default(),
        seen: Arc::default(),
        panics: true,
    };
    tracing::subscriber::with_default(asking, || {
        assert!(catch_unwind(AssertUnwindSafe(|| flag.configure(Degraded))).is_err());
    });
    assert_eq!(flag.state(), Degraded);
    flag.configure(Enabled);
    assert_eq!(history(&registry).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn callbacks_of_the_registry_may_ask_the_flag() {
    let registry = registry();
    let flag = exact_in(&registry).degrade_at(Emergency).build().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let ask = || {
        let (flag, asked) = (flag.clone(), Arc::clone(&asked));
        move || asked.lock().unwrap().push(flag.state())
    };
    let cell = registry.flag_override("ml_recs").unwrap();
    let subscriptions = (cell.on_change(ask()), registry.on_level_change(ask()));
    let id = impose(&registry, Disabled, MINUTE);
    registry.release(id).unwrap();
    impose_level(&registry, Emergency, MINUTE);
    assert_eq!(*asked.lock().unwrap(), [Disabled, Enabled, Degraded]);
    drop(subscriptions);
}

#[test]
fn a_flag_that_nobody_holds_is_gone_with_its_callbacks() {
    let registry = registry();
    let flag = {
        let flags = brownout::flag::Flags::new(&registry);
        flags
            .builder("ml_recs")
            .degrade_at(Emergency)
            .build()
            .unwrap()
    };
    drop(flag);
    impose(&registry, Disabled, MINUTE);
    impose_level(&registry, Emergency, MINUTE);
    assert_eq!(history(&registry), []);
}
