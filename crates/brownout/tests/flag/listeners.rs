//! Callbacks that are called while a flag changes may ask the flag.

use std::sync::{Arc, Mutex};

use brownout::registry::{
    DegradationLevel::Emergency,
    FeatureState::{Degraded, Disabled, Enabled},
};

use crate::common::{MINUTE, exact_in, history, impose, impose_level, registry};

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
