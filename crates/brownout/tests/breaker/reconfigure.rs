//! A new policy at run time: it applies to the next decision, and throws nothing away.

use brownout::{
    breaker::{Abandoned, CircuitBreakerLayer},
    core::RejectReason,
    registry::CircuitState,
};
use tokio::time::advance;
use tower::{Layer, ServiceExt};

use crate::common::{
    HOUR, SECOND, circuit, exact, fail, half_open, ms, open_and_close, pass_the_deadline, probe,
    refused, succeed, trip,
};

#[tokio::test(start_paused = true)]
async fn a_lower_threshold_applies_to_the_next_outcome() {
    let circuit = circuit(exact().consecutive_failures(100));
    fail(&circuit, 4);
    circuit.reconfigure(exact().consecutive_failures(3).build().unwrap());
    assert_eq!(
        circuit.state(),
        CircuitState::Closed,
        "nothing was decided yet"
    );
    assert_eq!(circuit.stats().consecutive_failures, 4);
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_higher_threshold_applies_to_the_next_outcome() {
    let circuit = circuit(exact());
    fail(&circuit, 4);
    circuit.reconfigure(exact().consecutive_failures(10).build().unwrap());
    fail(&circuit, 5);
    assert_eq!(circuit.state(), CircuitState::Closed);
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn the_policy_in_force_can_be_read_back() {
    let circuit = circuit(exact());
    let policy = exact().probes(7).build().unwrap();
    circuit.reconfigure(policy.clone());
    assert_eq!(*circuit.policy(), policy);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_stays_open_for_as_long_as_it_said() {
    let circuit = circuit(exact());
    trip(&circuit);
    circuit.reconfigure(exact().open_for(SECOND).build().unwrap());
    assert_eq!(circuit.stats().retry_after, Some(SECOND * 5));
    pass_the_deadline(&circuit).await;
    fail(&circuit, 1);
    assert_eq!(
        circuit.stats().retry_after,
        Some(SECOND * 2),
        "the new time, doubled once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_round_goes_on_under_the_new_rules() {
    let circuit = circuit(exact().probes(1).close_after(5, 5));
    half_open(&circuit).await.success();
    let generation = circuit.stats().generation;
    circuit.reconfigure(exact().probes(2).build().unwrap());
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    assert_eq!(circuit.stats().generation, generation);
    let _out = circuit.admit().unwrap();
    succeed(&circuit, 1);
    assert_eq!(
        circuit.state(),
        CircuitState::Closed,
        "two of two, one of them from before"
    );
}

#[tokio::test(start_paused = true)]
async fn fewer_probes_apply_at_once() {
    let circuit = circuit(exact());
    let _first = half_open(&circuit).await;
    circuit.reconfigure(exact().probes(1).build().unwrap());
    assert_eq!(refused(&circuit).reason(), RejectReason::CircuitHalfOpen);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_another_length_keeps_what_was_counted() {
    let circuit = circuit(exact().no_consecutive_failures());
    fail(&circuit, 10);
    advance(SECOND * 2).await;
    circuit.reconfigure(
        exact()
            .no_consecutive_failures()
            .window(SECOND * 60)
            .build()
            .unwrap(),
    );
    assert_eq!(circuit.stats().window_failures, 10);
    advance(SECOND * 30).await;
    fail(&circuit, 10);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_longer_window_of_calls_keeps_all_and_a_shorter_one_the_newest() {
    let policy = |calls| {
        exact()
            .no_consecutive_failures()
            .window_of_calls(calls)
            .minimum_calls(calls)
            .failure_ratio(1.0)
    };
    let circuit = circuit(policy(10));
    succeed(&circuit, 8);
    fail(&circuit, 2);
    circuit.reconfigure(policy(100).build().unwrap());
    assert_eq!(circuit.stats().window_calls, 10);
    circuit.reconfigure(policy(3).build().unwrap());
    let stats = circuit.stats();
    assert_eq!((stats.window_calls, stats.window_failures), (3, 2));
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_another_kind_starts_empty_and_the_run_stays() {
    let circuit = circuit(exact());
    fail(&circuit, 4);
    circuit.reconfigure(exact().window_of_calls(50).build().unwrap());
    let stats = circuit.stats();
    assert_eq!((stats.window_calls, stats.consecutive_failures), (0, 4));
    circuit.reconfigure(exact().build().unwrap());
    assert_eq!(circuit.stats().window_calls, 0);
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_when_slowness_begins_to_count_is_not_slow_for_that() {
    let circuit = circuit(exact());
    advance(HOUR).await;
    let early = circuit.admit().unwrap();
    circuit.reconfigure(exact().slow_calls(SECOND, 0.5).build().unwrap());
    advance(ms(1)).await;
    early.success();
    assert_eq!(circuit.stats().window_slow, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_when_giving_up_begins_to_count_is_not_late_for_that() {
    let circuit = circuit(exact());
    advance(HOUR).await;
    let early = circuit.admit().unwrap();
    let policy = exact().abandoned(Abandoned::FailureIfSlowerThan(SECOND));
    circuit.reconfigure(policy.build().unwrap());
    advance(ms(1)).await;
    drop(early);
    let totals = circuit.stats().totals;
    assert_eq!((totals.abandoned, totals.failures), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_policy_without_a_ramp_ends_the_ramp_that_runs() {
    let circuit = circuit(exact().ramp(HOUR));
    open_and_close(&circuit).await;
    circuit.reconfigure(exact().build().unwrap());
    succeed(&circuit, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_policy_with_a_shorter_ramp_shortens_the_ramp_that_runs() {
    let circuit = circuit(exact().ramp(HOUR));
    open_and_close(&circuit).await;
    circuit.reconfigure(exact().ramp(SECOND * 10).build().unwrap());
    advance(SECOND * 10).await;
    succeed(&circuit, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_layers_policy_is_that_of_all_who_share_its_circuit() {
    let circuit = circuit(exact());
    let layer = CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .policy(exact().consecutive_failures(1).build().unwrap());
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open);
    assert!(layer.layer(probe().0).oneshot(1).await.is_err());
}
