//! Calls that are dropped before they could be judged.

use std::time::Duration;

use brownout::{
    breaker::{Abandoned, Circuit, PolicyBuilder},
    core::{BoxError, Verdict},
    registry::CircuitState,
};
use brownout_testing::{Behaviour, drop_at_each_await};
use tokio::time::advance;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, timeout::TimeoutLayer};

use crate::common::{SECOND, breaker, circuit, exact, half_open, ms, probe, refused};

async fn dropped_after(circuit: &Circuit, time: Duration) {
    let ticket = circuit.admit().unwrap();
    advance(time).await;
    drop(ticket);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_call_changes_no_count_by_default_and_is_in_the_totals() {
    let circuit = circuit(exact());
    for _ in 0..100 {
        dropped_after(&circuit, SECOND * 60).await;
    }
    let stats = circuit.stats();
    assert_eq!((stats.window_calls, stats.consecutive_failures), (0, 0));
    assert_eq!((stats.totals.abandoned, stats.totals.failures), (100, 0));
    assert_eq!(stats.state, CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn with_a_slow_threshold_a_call_given_up_after_it_is_a_failure() {
    let circuit = circuit(exact().slow_calls(SECOND, 0.9));
    for _ in 0..4 {
        dropped_after(&circuit, SECOND).await;
    }
    dropped_after(&circuit, SECOND - ms(1)).await;
    let stats = circuit.stats();
    assert_eq!((stats.totals.failures, stats.totals.abandoned), (4, 1));
    assert_eq!(stats.state, CircuitState::Closed);
    dropped_after(&circuit, SECOND).await;
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn the_time_after_which_giving_up_is_a_failure_can_be_chosen() {
    let choice = Abandoned::FailureIfSlowerThan(ms(100));
    for policy in [exact(), exact().slow_calls(SECOND, 0.9)] {
        let circuit = circuit(policy.abandoned(choice));
        dropped_after(&circuit, ms(99)).await;
        assert_eq!(circuit.stats().totals.abandoned, 1);
        dropped_after(&circuit, ms(100)).await;
        assert_eq!(circuit.stats().totals.failures, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn every_abandoned_call_can_be_made_a_failure_or_none() {
    let failing = circuit(exact().abandoned(Abandoned::Failure));
    for _ in 0..5 {
        drop(failing.admit().unwrap());
    }
    assert_eq!(failing.state(), CircuitState::Open);

    let neutral = exact()
        .slow_calls(SECOND, 0.9)
        .abandoned(Abandoned::Neutral);
    let neutral = circuit(neutral);
    for _ in 0..5 {
        dropped_after(&neutral, SECOND * 60).await;
    }
    assert_eq!(neutral.stats().totals.abandoned, 5);
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_after_its_head_was_not_slow() {
    let circuit = circuit(exact().slow_calls(SECOND, 0.9));
    let mut ticket = circuit.admit().unwrap();
    ticket.head(Verdict::Success);
    advance(SECOND * 60).await;
    drop(ticket);
    let stats = circuit.stats();
    assert_eq!((stats.totals.abandoned, stats.totals.failures), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_given_up_too_late_reopens() {
    let circuit = circuit(exact().slow_calls(SECOND, 0.9));
    let probe = half_open(&circuit).await;
    advance(SECOND).await;
    drop(probe);
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(circuit.stats().retry_after, Some(SECOND * 10));
}

/// Five calls to a service that never answers, with a timeout of 300 ms on the side that is asked for.
async fn five_timeouts(policy: PolicyBuilder, inside: bool) -> Circuit {
    let circuit = circuit(policy);
    let (service, inner) = probe();
    inner.always(Behaviour::hang());
    let timeout = TimeoutLayer::new(ms(300));
    for n in 0..5 {
        let outcome = if inside {
            breaker(&circuit, timeout.layer(service.clone()))
                .oneshot(n)
                .await
        } else {
            let stack = ServiceBuilder::new().layer(timeout.clone());
            stack
                .service(breaker(&circuit, service.clone()))
                .oneshot(n)
                .await
        };
        assert!(outcome.unwrap_err().is::<tower::timeout::error::Elapsed>());
    }
    assert_eq!(inner.counts().in_flight, 0);
    circuit
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_the_breaker_is_a_failure() {
    let circuit = five_timeouts(exact(), true).await;
    assert_eq!(circuit.stats().totals.failures, 5);
    assert!(refused(&circuit).retry_after().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_the_breaker_is_an_abandoned_call_and_seen_in_the_totals() {
    let circuit = five_timeouts(exact(), false).await;
    let stats = circuit.stats();
    assert_eq!((stats.totals.abandoned, stats.totals.failures), (5, 0));
    assert_eq!(stats.state, CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_the_breaker_opens_it_where_slowness_counts() {
    let circuit = five_timeouts(exact().slow_calls(ms(200), 0.9), false).await;
    assert_eq!(circuit.stats().totals.failures, 5);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_at_any_await_is_abandoned_once_and_holds_nothing() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    inner.always(Behaviour::answer(Ok::<u32, BoxError>).yielding(5));
    let mut made = 0;
    let polls = drop_at_each_await(
        || {
            made += 1;
            let mut service = breaker(&circuit, service.clone());
            async move { service.ready().await?.call(1).await }
        },
        |_| assert!(inner.counts().is_idle()),
    )
    .await;
    assert_eq!(polls, 6);
    let totals = circuit.stats().totals;
    // The first was dropped before it was polled, and so before it was a call.
    assert_eq!((totals.abandoned, totals.successes), (made - 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_probe_dropped_at_any_await_gives_its_place_back() {
    let circuit = circuit(exact().probes(1).close_after(1, 1));
    drop(half_open(&circuit).await);
    let (service, inner) = probe();
    inner.always(Behaviour::answer(Ok::<u32, BoxError>).yielding(5));
    drop_at_each_await(
        || {
            let mut service = breaker(&circuit, service.clone());
            async move { service.ready().await?.call(1).await }
        },
        |polls| {
            if polls <= 5 {
                assert_eq!(circuit.state(), CircuitState::HalfOpen);
                drop(circuit.admit().unwrap());
            }
        },
    )
    .await;
    assert_eq!(circuit.state(), CircuitState::Closed);
}
