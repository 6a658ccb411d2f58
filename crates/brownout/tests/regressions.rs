//! Faults that the model of the circuit (`tests/model`) has found, each as small as it could be made.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop there"
)]

use std::{num::NonZeroU32, time::Duration};

use brownout::{
    Registry,
    breaker::{Abandoned, Circuit, Policy, PolicyBuilder},
    core::Verdict,
    registry::{CircuitMode, CircuitState, Order},
};
use tokio::time::advance;

const MS: Duration = Duration::from_millis(1);

fn circuit(policy: Policy) -> Circuit {
    let dependency = Registry::new().dependency("sensor").register().unwrap();
    Circuit::builder(&dependency).policy(policy).build()
}

/// Opens on request, for a millisecond, and closes after one good probe.
fn brief() -> Policy {
    brief_for(MS)
}

fn brief_for(open_for: Duration) -> Policy {
    Policy::builder()
        .open_for(open_for)
        .open_for_at_most(open_for * 64)
        .jitter(0.0)
        .close_after(1, 1)
        .lease(10 * MS)
        .build()
        .unwrap()
}

fn trip(circuit: &Circuit) {
    circuit.admit().unwrap().settle(Verdict::Trip {
        open_for: Duration::ZERO,
    });
    assert_eq!(circuit.state(), CircuitState::Open);
}

/// Hanging calls settle nothing, so nothing moved the window on, and what had left it still counted as success.
#[tokio::test(start_paused = true)]
async fn a_total_hang_trips_however_busy_the_circuit_was_before() {
    let circuit = circuit(
        Policy::builder()
            .window(Duration::from_secs(10))
            .slow_calls(Duration::from_secs(1), 0.5)
            .build()
            .unwrap(),
    );
    for _ in 0..1_000 {
        circuit.admit().unwrap().success();
    }
    advance(Duration::from_secs(11)).await;
    let hanging: Vec<_> = (0..100).map(|_| circuit.admit().unwrap()).collect();
    advance(Duration::from_secs(2)).await;
    assert!(circuit.admit().is_err());
    assert_eq!(circuit.state(), CircuitState::Open);
    drop(hanging);
}

/// The reverse: what had left the window still helped to fill it.
#[tokio::test(start_paused = true)]
async fn hanging_calls_are_not_judged_with_calls_that_have_left_the_window() {
    let circuit = circuit(
        Policy::builder()
            .window(Duration::from_secs(10))
            .minimum_calls(5)
            .slow_calls(Duration::from_secs(1), 0.1)
            .build()
            .unwrap(),
    );
    for _ in 0..4 {
        circuit.admit().unwrap().success();
    }
    advance(Duration::from_secs(11)).await;
    let hanging = circuit.admit().unwrap();
    advance(Duration::from_secs(2)).await;
    circuit.admit().unwrap().settle(Verdict::Neutral);
    assert_eq!(circuit.state(), CircuitState::Closed);
    drop(hanging);
}

/// Their time of admission, which nobody had asked for, was taken to be the circuit's first moment.
#[tokio::test(start_paused = true)]
async fn a_policy_that_starts_to_mind_slowness_does_not_blame_calls_that_are_out() {
    let circuit = circuit(Policy::consecutive(NonZeroU32::new(5).unwrap()));
    advance(Duration::from_hours(1)).await;
    let out: Vec<_> = (0..50).map(|_| circuit.admit().unwrap()).collect();
    let minds = Policy::builder()
        .slow_calls(Duration::from_secs(1), 0.5)
        .build()
        .unwrap();
    circuit.reconfigure(minds);
    for ticket in out {
        ticket.success();
    }
    assert_eq!(circuit.stats().totals.slow, 0);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_starts_to_mind_late_drops_does_not_blame_calls_that_are_out() {
    let circuit = circuit(Policy::default());
    advance(Duration::from_hours(1)).await;
    let out = circuit.admit().unwrap();
    let minds = Policy::builder()
        .abandoned(Abandoned::FailureIfSlowerThan(Duration::from_secs(1)))
        .build()
        .unwrap();
    circuit.reconfigure(minds);
    drop(out);
    assert_eq!(circuit.stats().totals.failures, 0);
    assert_eq!(circuit.stats().totals.abandoned, 1);
}

/// The round's end was noticed only after the change, and judged by it.
#[tokio::test(start_paused = true)]
async fn a_round_that_has_ended_unseen_reopens_by_the_policy_of_its_time() {
    let circuit = circuit(brief());
    trip(&circuit);
    advance(MS).await;
    let probe = circuit.admit().unwrap();
    advance(10 * MS).await;
    circuit.reconfigure(brief_for(100 * MS));
    assert_eq!(circuit.stats().retry_after, Some(MS));
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn clearing_counts_does_not_reach_back_before_a_round_that_has_ended_unseen() {
    let circuit = circuit(
        Policy::builder()
            .open_for(MS)
            .open_for_at_most(64 * MS)
            .jitter(0.0)
            .close_after(1, 2)
            .lease(10 * MS)
            .build()
            .unwrap(),
    );
    trip(&circuit);
    advance(MS).await;
    circuit.admit().unwrap().failure();
    advance(10 * MS).await;
    // The round ended now, with a failure: the open time has doubled already.
    circuit.clear_counts();
    assert_eq!(circuit.stats().retry_after, Some(2 * MS));
}

/// An answer that says nothing proves that the dependency lives, but not that it has become fast.
#[tokio::test(start_paused = true)]
async fn a_slow_neutral_answer_does_not_close_a_circuit_that_slowness_opened() {
    let circuit = circuit(
        Policy::builder()
            .minimum_calls(1)
            .slow_calls(2 * MS, 1.0)
            .open_for(MS)
            .jitter(0.0)
            .lease(10 * MS)
            .build()
            .unwrap(),
    );
    let slow = circuit.admit().unwrap();
    advance(2 * MS).await;
    slow.success();
    assert_eq!(circuit.state(), CircuitState::Open);
    advance(MS).await;
    let probe = circuit.admit().unwrap();
    advance(2 * MS).await;
    probe.settle(Verdict::Neutral);
    advance(8 * MS).await;
    assert_eq!(circuit.state(), CircuitState::Open);
}

/// That the window had been full once in this sub-bucket was remembered across the change.
#[tokio::test(start_paused = true)]
async fn a_stricter_ratio_is_applied_to_the_next_outcome_even_if_it_is_good() {
    let lenient = |ratio| {
        Policy::builder()
            .failure_ratio(ratio)
            .minimum_calls(2)
            .build()
            .unwrap()
    };
    let circuit = circuit(lenient(0.9));
    circuit.admit().unwrap().success();
    circuit.admit().unwrap().failure();
    circuit.reconfigure(lenient(0.2));
    circuit.admit().unwrap().success();
    assert_eq!(circuit.state(), CircuitState::Open);
}

/// What the circuit has counted since it was made was shown as its window.
#[tokio::test(start_paused = true)]
async fn a_policy_without_ratios_shows_no_window_that_never_slides() {
    let circuit = circuit(Policy::consecutive(NonZeroU32::new(5).unwrap()));
    for _ in 0..3 {
        circuit.admit().unwrap().success();
    }
    advance(Duration::from_hours(1)).await;
    assert_eq!(circuit.stats().window_calls, 0);
}

/// No time at all meant every dropped call, also those whose head had come.
#[tokio::test(start_paused = true)]
async fn a_call_that_answered_at_once_is_no_failure_when_its_body_is_dropped() {
    let choice = Abandoned::FailureIfSlowerThan(Duration::ZERO);
    // To refuse such a limit is fine as well.
    let Ok(policy) = Policy::builder().abandoned(choice).build() else {
        return;
    };
    let circuit = circuit(policy);
    let mut ticket = circuit.admit().unwrap();
    ticket.head(Verdict::Success);
    drop(ticket);
    assert_eq!(circuit.stats().totals.failures, 0);
}

/// That the window had been full once in this sub-bucket was remembered, but not that it had been over its threshold.
#[tokio::test(start_paused = true)]
async fn a_ratio_reached_while_forced_closed_opens_with_the_next_outcome_after_it() {
    let dependency = Registry::new().dependency("sensor").register().unwrap();
    let policy = Policy::builder().minimum_calls(1).build().unwrap();
    let circuit = Circuit::builder(&dependency).policy(policy).build();
    let order = Order::new("operator", "a rehearsal", MS);
    dependency
        .override_circuit(CircuitMode::ForcedClosed, order)
        .unwrap();
    circuit.admit().unwrap().failure();
    advance(MS).await;
    circuit.admit().unwrap().success();
    assert_eq!(circuit.state(), CircuitState::Open);
}

/// The sub-buckets of the longer window reached back before the circuit was made, and were filed in wrong places.
#[tokio::test(start_paused = true)]
async fn a_longer_window_does_not_bring_back_what_has_left_the_shorter_one() {
    let over = |seconds| {
        Policy::builder()
            .window(Duration::from_secs(seconds))
            .build()
            .unwrap()
    };
    let circuit = circuit(over(1));
    circuit.admit().unwrap().success();
    for millis in 1_200..1_220 {
        advance(Duration::from_millis(millis)).await;
        assert_eq!(circuit.stats().window_calls, 0);
        circuit.reconfigure(over(30));
        assert_eq!(circuit.stats().window_calls, 0);
        circuit.reconfigure(over(1));
    }
}

fn two_trials() -> PolicyBuilder {
    Policy::builder()
        .open_for(MS)
        .jitter(0.0)
        .close_after(1, 2)
        .lease(10 * MS)
}

/// The head had failed, then the body did, and both were counted.
#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_twice_is_one_failed_trial() {
    let circuit = circuit(two_trials().build().unwrap());
    trip(&circuit);
    advance(MS).await;
    let mut probe = circuit.admit().unwrap();
    probe.head(Verdict::Failure);
    probe.failure();
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_slow_and_then_fails_is_one_failed_trial() {
    let slow = two_trials().minimum_calls(1).slow_calls(2 * MS, 1.0);
    let circuit = circuit(slow.build().unwrap());
    let slow = circuit.admit().unwrap();
    advance(2 * MS).await;
    slow.success();
    assert_eq!(circuit.state(), CircuitState::Open);
    advance(MS).await;
    let mut probe = circuit.admit().unwrap();
    advance(2 * MS).await;
    probe.head(Verdict::Success);
    probe.failure();
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
}

/// Failures that were far from the old ratio were granted to be counted unjudged; under the new one the next decides.
#[tokio::test(start_paused = true)]
async fn a_stricter_ratio_judges_the_next_failure_however_far_the_old_one_was() {
    let ratio = |share| {
        Policy::builder()
            .failure_ratio(share)
            .minimum_calls(1)
            .no_consecutive_failures()
            .build()
            .unwrap()
    };
    let circuit = circuit(ratio(0.9));
    for _ in 0..1_000 {
        circuit.admit().unwrap().success();
    }
    for _ in 0..100 {
        circuit.admit().unwrap().failure();
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
    circuit.reconfigure(ratio(0.05));
    circuit.admit().unwrap().failure();
    assert_eq!(circuit.state(), CircuitState::Open);
}

/// The call that finds out that a round is over is admitted under the lock, where it was given a time that no policy
/// had asked for.
#[tokio::test(start_paused = true)]
async fn a_call_that_ends_a_round_is_not_late_by_a_policy_that_comes_after_it() {
    let untimed = Policy::builder().open_for(MS).jitter(0.0).lease(10 * MS);
    let timed = untimed
        .clone()
        .abandoned(Abandoned::FailureIfSlowerThan(MS))
        .build()
        .unwrap();
    let circuit = circuit(untimed.build().unwrap());
    trip(&circuit);
    advance(MS).await;
    circuit.admit().unwrap().success();
    advance(10 * MS).await;
    let call = circuit.admit().unwrap();
    circuit.reconfigure(timed);
    advance(5 * MS).await;
    drop(call);
    let totals = circuit.stats().totals;
    assert_eq!((totals.abandoned, circuit.stats().window_failures), (1, 0));
}

/// A probe whose head came late has failed, and fails no second time; but its dependency may still ask to be left alone.
#[tokio::test(start_paused = true)]
async fn a_probe_whose_head_was_late_may_still_open_the_circuit_by_asking() {
    let circuit = circuit(
        Policy::builder()
            .slow_calls(8 * MS, 0.01)
            .minimum_calls(1)
            .open_for(MS)
            .jitter(0.0)
            .close_after(1, 2)
            .lease(Duration::from_secs(1))
            .build()
            .unwrap(),
    );
    let slow = circuit.admit().unwrap();
    advance(9 * MS).await;
    slow.success();
    assert_eq!(circuit.state(), CircuitState::Open);
    advance(MS).await;
    let mut probe = circuit.admit().unwrap();
    advance(9 * MS).await;
    probe.head(Verdict::Success);
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    probe.settle(Verdict::Trip {
        open_for: Duration::ZERO,
    });
    assert_eq!(circuit.state(), CircuitState::Open);
}
