//! Callbacks that are called while a flag changes may ask the flag.

use std::sync::{Arc, Mutex};

use brownout::registry::{
    DegradationLevel::Emergency,
    FeatureState::{Degraded, Disabled, Enabled},
};

use tokio::time::advance;

use crate::common::{MINUTE, RAMP, TTL, exact_in, history, impose, impose_level, registry, trip};

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

#[tokio::test(start_paused = true)]
async fn a_flag_that_is_dropped_tells_of_nothing_any_more() {
    let registry = registry();
    let flag = exact_in(&registry).build().unwrap();
    trip(&flag);
    // What ends by itself is told by whoever looks next, and nobody does.
    advance(TTL + RAMP).await;
    let before = registry.recent_events().len();
    drop(flag);
    assert_eq!(registry.recent_events().len(), before);
    let readings = registry.readings();
    assert!(readings.counts().any(|(_, count)| count == 5));
    assert_eq!(readings.flags().count(), 0);
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
