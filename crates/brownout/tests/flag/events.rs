//! What a flag says to the event stream: each change of its effective state, once.

use brownout::registry::{
    DegradationLevel::Emergency,
    FeatureState::{Degraded, Disabled, Enabled},
    FlagCause, Report,
};
use tokio::time::advance;

use crate::common::{
    MINUTE, SECOND, TTL, critical, exact_in, history, impose, impose_level, registry, trip,
};

#[tokio::test(start_paused = true)]
async fn each_change_of_the_effective_state_is_one_event_with_its_cause() {
    let registry = registry();
    let flag = exact_in(&registry).disable_at(Emergency).build().unwrap();
    trip(&flag);
    fail_late(&flag);
    advance(TTL).await;
    assert_eq!((flag.state(), flag.state()), (Enabled, Enabled));
    flag.configure(Degraded);
    impose(&registry, Enabled, MINUTE);
    advance(MINUTE).await;
    assert_eq!(flag.state(), Degraded);
    impose_level(&registry, Emergency, MINUTE);
    flag.configure(Enabled);
    advance(MINUTE).await;
    assert_eq!(flag.state(), Enabled);
    assert_eq!(
        history(&registry),
        [
            (Enabled, Degraded, FlagCause::Errors),
            (Degraded, Enabled, FlagCause::Expiry),
            (Enabled, Degraded, FlagCause::Configured),
            (Degraded, Enabled, FlagCause::Override),
            (Enabled, Degraded, FlagCause::Override),
            (Degraded, Disabled, FlagCause::Level),
            (Disabled, Enabled, FlagCause::Level),
        ]
    );
}

/// What changes nothing says nothing.
fn fail_late(flag: &brownout::flag::Flag) {
    for _ in 0..10 {
        assert!(flag.admit().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn orders_and_levels_are_followed_at_once_though_nobody_asks_the_flag() {
    let registry = registry();
    let flag = exact_in(&registry).disable_at(Emergency).build().unwrap();
    impose(&registry, Degraded, MINUTE);
    assert_eq!(history(&registry).len(), 1);
    let ledger = critical(&registry);
    ledger.report(Report::unhealthy("gone").ttl(SECOND));
    advance(MINUTE).await;
    // The stream is read, and that alone shows that the order is over.
    assert_eq!(
        history(&registry).last(),
        Some(&(Degraded, Enabled, FlagCause::Override))
    );
    drop(flag);
}

#[tokio::test(start_paused = true)]
async fn a_driver_makes_events_prompt() {
    let registry = registry();
    let driver = registry.drive();
    let flag = exact_in(&registry).disable_at(Emergency).build().unwrap();
    let ledger = critical(&registry);
    ledger.report(Report::unhealthy("gone").ttl(SECOND));
    let mut events = registry.events();
    let mut last = None;
    while let Ok(Some(received)) = tokio::time::timeout(MINUTE, events.recv()).await {
        last = Some(received);
    }
    let said = format!("{last:?}");
    assert!(said.contains("FlagChanged"), "{said}");
    assert_eq!(
        history(&registry),
        [
            (Enabled, Disabled, FlagCause::Level),
            (Disabled, Enabled, FlagCause::Level)
        ]
    );
    drop((driver, flag));
}
