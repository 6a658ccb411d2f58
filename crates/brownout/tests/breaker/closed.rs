//! A closed circuit lets every call pass, and counts.

use brownout::{
    breaker::{Abandoned, Policy},
    core::Verdict,
    registry::CircuitState,
};
use tokio::time::advance;
use tower::{Service, ServiceExt};

use crate::common::{
    SECOND, answering, breaker, circuit, exact, fail, failing, ms, open_and_close, probe, succeed,
};

#[test]
fn the_defaults_are_the_documented_ones() {
    let documented = Policy::builder()
        .failure_ratio(0.5)
        .window(SECOND * 10)
        .minimum_calls(20)
        .consecutive_failures(5)
        .open_for(SECOND * 5)
        .open_for_at_most(SECOND * 60)
        .jitter(0.2)
        .probes(3)
        .close_after(2, 2)
        .lease(SECOND * 5);
    assert_eq!(documented.clone().build().unwrap(), Policy::default());
    // What is off by default would make a difference if it were on.
    for other in [
        documented.clone().slow_calls(SECOND, 0.5),
        documented.clone().ramp(SECOND),
        documented.abandoned(Abandoned::Failure),
    ] {
        assert_ne!(other.build().unwrap(), Policy::default());
    }
}

#[tokio::test(start_paused = true)]
async fn answers_and_errors_pass_through_unchanged_and_are_counted() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    let mut service = breaker(&circuit, service);
    inner.script([answering(), failing(), answering()]);
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 1);
    let error = service.ready().await.unwrap().call(2).await.unwrap_err();
    assert_eq!(error.to_string(), "down");
    assert_eq!(service.ready().await.unwrap().call(3).await.unwrap(), 3);

    let stats = circuit.stats();
    assert_eq!(stats.state, CircuitState::Closed);
    assert_eq!(stats.generation, 0);
    assert_eq!(stats.retry_after, None);
    assert_eq!((stats.window_calls, stats.window_failures), (3, 1));
    assert_eq!((stats.totals.successes, stats.totals.failures), (2, 1));
    assert_eq!(stats.totals.rejected, 0);
}

#[tokio::test(start_paused = true)]
async fn a_success_ends_a_run_of_failures() {
    let circuit = circuit(exact().no_failure_ratio());
    for _ in 0..10 {
        fail(&circuit, 4);
        succeed(&circuit, 1);
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
    assert_eq!(circuit.stats().consecutive_failures, 0);
    fail(&circuit, 4);
    assert_eq!(circuit.stats().consecutive_failures, 4);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_neutral_outcome_changes_no_count_and_ends_no_run() {
    let circuit = circuit(exact());
    fail(&circuit, 4);
    let before = circuit.stats();
    for _ in 0..100 {
        circuit.admit().unwrap().settle(Verdict::Neutral);
    }
    let after = circuit.stats();
    assert_eq!(after.window_calls, before.window_calls);
    assert_eq!(after.consecutive_failures, 4);
    assert_eq!(after.totals.neutral, 100);
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn neutral_outcomes_do_not_fill_the_window() {
    let circuit = circuit(exact().no_consecutive_failures());
    fail(&circuit, 19);
    for _ in 0..100 {
        circuit.admit().unwrap().settle(Verdict::Neutral);
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_leaves_the_window_after_its_length() {
    let circuit = circuit(exact());
    fail(&circuit, 3);
    advance(SECOND * 10 - ms(1)).await;
    assert_eq!(circuit.stats().window_failures, 3);
    advance(ms(1)).await;
    assert_eq!(circuit.stats().window_failures, 0);
    assert_eq!(circuit.stats().totals.failures, 3);
}

#[tokio::test(start_paused = true)]
async fn the_window_slides_by_tenths() {
    let circuit = circuit(exact().no_consecutive_failures());
    for _ in 0..10 {
        fail(&circuit, 1);
        advance(SECOND).await;
    }
    // The first failure has just left, and one leaves each second.
    for left in (0..10).rev() {
        assert_eq!(circuit.stats().window_failures, left);
        advance(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn closing_empties_the_window() {
    let circuit = circuit(exact());
    fail(&circuit, 4);
    open_and_close(&circuit).await;
    let stats = circuit.stats();
    assert_eq!(stats.state, CircuitState::Closed);
    assert_eq!((stats.window_calls, stats.window_failures), (0, 0));
    assert_eq!(stats.consecutive_failures, 0);
    fail(&circuit, 4);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn totals_never_fall() {
    let circuit = circuit(exact());
    fail(&circuit, 2);
    open_and_close(&circuit).await;
    circuit.clear_counts();
    advance(SECOND * 60).await;
    let totals = circuit.stats().totals;
    // Two failures and the one that opened the circuit; two probes that closed it.
    assert_eq!((totals.failures, totals.successes), (3, 2));
}
