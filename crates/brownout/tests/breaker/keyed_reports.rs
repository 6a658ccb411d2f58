//! What a family of keyed circuits says of the one dependency behind it.

use brownout::{
    breaker::{CircuitBreakerLayer, KeyedCircuits},
    registry::{Criticality, DegradationLevel, EventKind, Registry, Status},
};
use brownout_testing::LogCapture;
use tokio::time::advance;
use tower::{Layer, ServiceExt};

use crate::{
    common::{SECOND, dependency, exact, failing, history, ms, probe},
    family::family,
};

#[tokio::test(start_paused = true)]
async fn the_dependency_is_degraded_while_any_key_is_open() {
    let family = family(exact().consecutive_failures(1), 100);
    assert_eq!(family.status(), Status::Healthy);
    family.fail(1).await;
    family.fail(2).await;
    assert_eq!(family.status(), Status::Degraded);
    advance(SECOND * 5).await;
    for key in [1, 1] {
        family.call(key).await.unwrap();
    }
    assert_eq!(family.status(), Status::Degraded, "the other is still open");
    for key in [2, 2] {
        family.call(key).await.unwrap();
    }
    assert_eq!(family.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn the_dependency_is_unhealthy_when_half_of_its_recent_calls_were_refused() {
    let family = family(exact().consecutive_failures(1).open_for(SECOND * 60), 100);
    family.fail(1).await;
    for round in 0..10 {
        assert_eq!(family.status(), Status::Degraded, "after {round} rounds");
        family.call(2).await.unwrap();
        family.call(1).await.unwrap_err();
    }
    // Ten of twenty-one so far. The report is renewed once a second.
    family.call(1).await.unwrap_err();
    advance(SECOND).await;
    family.call(1).await.unwrap_err();
    assert_eq!(family.status(), Status::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn one_dead_key_of_eight_is_not_unhealthy() {
    let family = family(exact().consecutive_failures(1).open_for(SECOND * 60), 100);
    family.fail(0).await;
    for _ in 0..100 {
        for key in 0..8 {
            assert_eq!(family.call(key).await.is_err(), key == 0);
        }
        advance(ms(100)).await;
        assert_eq!(family.status(), Status::Degraded);
    }
}

#[tokio::test(start_paused = true)]
async fn a_family_that_nobody_calls_any_more_does_not_hold_the_system_down() {
    let registry = Registry::new();
    let shards = registry
        .dependency("shards")
        .criticality(Criticality::Critical);
    let policy = exact().consecutive_failures(1).build().unwrap();
    let circuits = KeyedCircuits::with(&shards.register().unwrap(), policy, 10).unwrap();
    let layer = CircuitBreakerLayer::keyed(circuits, |n: &u32| *n).for_results();
    let (service, inner) = probe();
    inner.always(failing());
    for _ in 0..4 {
        for _ in 0..20 {
            let _ = layer.layer(service.clone()).oneshot(1).await;
        }
        advance(SECOND).await;
    }
    assert_eq!(registry.level(), DegradationLevel::Emergency);
    advance(SECOND * 60).await;
    assert_eq!(registry.level(), DegradationLevel::Full);
}

#[tokio::test(start_paused = true)]
async fn keys_are_named_in_events_and_logs_and_cut_off_after_128_bytes() {
    let dependency = dependency();
    let policy = exact().consecutive_failures(1).build().unwrap();
    let circuits = KeyedCircuits::with(&dependency, policy, 10).unwrap();
    let (service, inner) = probe();
    inner.always(failing());
    // 127 bytes, then a character of two.
    let long = format!("{}é and much more", "x".repeat(127));
    let layer = CircuitBreakerLayer::keyed(circuits, move |_: &u32| long.clone()).for_results();
    let logs = LogCapture::start();
    layer.layer(service).oneshot(1).await.unwrap_err();
    let expected = "x".repeat(127);
    assert_eq!(
        logs.find("circuit opened").unwrap().field("key"),
        Some(&*expected)
    );
    let events = dependency.registry().recent_events();
    let keys: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::CircuitOpened { key, .. } => key.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(keys, [expected.into()]);
    assert_eq!(history(&dependency).len(), 1);
}
