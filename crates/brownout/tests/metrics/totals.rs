//! Counters and gauges.

use brownout::{
    breaker::Circuit,
    flag::Flags,
    metrics::Metrics,
    registry::{FeatureState, Order},
};

use std::time::Duration;

use crate::common::{Page, fail, registry, search, succeed};

const SUCCESSES: &str = "brownout_calls_total dependency=search layer=breaker outcome=success";

#[tokio::test(start_paused = true)]
async fn circuits_of_one_dependency_are_counted_together_and_the_worst_is_its_state() {
    let (registry, page) = (registry(), Page::default());
    let (one, other) = (
        Circuit::new(&search(&registry)),
        Circuit::new(&search(&registry)),
    );
    let metrics = Metrics::new(&registry);
    succeed(&one, 3);
    succeed(&other, 4);
    fail(&other, 5);
    page.collect(&metrics);
    assert_eq!(page.value(SUCCESSES), Some(7.0));
    let state = |state: &str| {
        let series = format!("brownout_circuit_state dependency=search state={state}");
        page.value(&series)
    };
    assert_eq!(state("open"), Some(1.0));
    assert_eq!(state("half-open"), Some(0.0));
    assert_eq!(state("closed"), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn what_a_circuit_has_counted_outlives_it_and_its_state_does_not() {
    let (registry, page) = (registry(), Page::default());
    let dependency = search(&registry);
    let metrics = Metrics::new(&registry);
    for round in 1..=3 {
        let circuit = Circuit::new(&dependency);
        succeed(&circuit, 3);
        page.collect(&metrics);
        drop(circuit);
        page.collect(&metrics);
        assert_eq!(page.value(SUCCESSES), Some(f64::from(round * 3)));
        let closed = "brownout_circuit_state dependency=search state=closed";
        assert_eq!(page.value(closed), Some(0.0));
    }
    let all = page.values(SUCCESSES);
    assert!(all.is_sorted(), "a total fell: {all:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_before_anybody_collected_is_not_lost() {
    let (registry, page) = (registry(), Page::default());
    let circuit = Circuit::new(&search(&registry));
    succeed(&circuit, 3);
    fail(&circuit, 5);
    page.collect(&Metrics::new(&registry));
    assert_eq!(page.value(SUCCESSES), Some(3.0));
    let opened = "brownout_circuit_transitions_total dependency=search from=closed to=open cause=consecutive failures";
    assert_eq!(page.value(opened), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn a_gauge_clears_the_state_that_a_flag_has_left() {
    let (registry, page) = (registry(), Page::default());
    let flags = Flags::new(&registry);
    let flag = flags.flag("ml_recs").unwrap();
    let metrics = Metrics::new(&registry);
    let states = || {
        ["enabled", "degraded", "disabled"]
            .map(|state| page.value(&format!("brownout_flag_state flag=ml_recs state={state}")))
    };
    page.collect(&metrics);
    assert_eq!(states(), [1.0, 0.0, 0.0].map(Some));
    flag.configure(FeatureState::Disabled);
    page.collect(&metrics);
    assert_eq!(states(), [0.0, 0.0, 1.0].map(Some));
    drop((flag, flags));
    page.collect(&metrics);
    assert_eq!(states(), [0.0, 0.0, 0.0].map(Some));
}

#[tokio::test(start_paused = true)]
async fn an_override_that_has_expired_is_no_longer_active() {
    let (registry, page) = (registry(), Page::default());
    let metrics = Metrics::new(&registry);
    let active = || page.value("brownout_override_active target=flag");
    let ttl = Duration::from_mins(1);
    registry
        .override_flag("a", FeatureState::Disabled, Order::new("kim", "x", ttl))
        .unwrap();
    page.collect(&metrics);
    assert_eq!(active(), Some(1.0));
    tokio::time::advance(ttl).await;
    page.collect(&metrics);
    assert_eq!(active(), Some(0.0));
}
