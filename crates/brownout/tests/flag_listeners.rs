//! A log that asks the flag of which it is told, and one that panics.
//!
//! A process of its own, and one test at a time: tracing remembers for each place in the code whether anybody listens,
//! and forgets to ask anew those places that are reached for the first time just while a listener comes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that unwraps or panics says that something is wrong"
)]
#![allow(dead_code, reason = "what the other tests of flags share")]

#[path = "flag/common.rs"]
mod common;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use brownout::{
    flag::Flag,
    registry::FeatureState::{Degraded, Disabled, Enabled},
};
use tracing::{Event, Metadata, Subscriber, span};

use crate::common::{exact_in, fail, history, registry};

fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

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

#[test]
fn a_log_subscriber_may_ask_the_flag_and_sees_the_new_state() {
    let _turn = alone();
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

#[test]
fn a_log_that_panics_silences_nobody() {
    let _turn = alone();
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
