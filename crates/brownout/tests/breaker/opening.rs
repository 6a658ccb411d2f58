//! What opens a circuit, and for how long.

use std::num::NonZeroU32;

use brownout::{
    breaker::{Circuit, Policy},
    core::RejectReason,
    registry::CircuitState,
};
use tokio::time::advance;
use tower::{Service, ServiceExt};

use crate::common::{
    SECOND, breaker, circuit, dependency, exact, fail, history, ms, probe, reason_of, succeed, trip,
};

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_open_a_quiet_circuit() {
    let circuit = circuit(exact());
    fail(&circuit, 4);
    assert_eq!(circuit.state(), CircuitState::Closed);
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(
        history(circuit.dependency()),
        ["1 opened: consecutive failures"]
    );
}

#[tokio::test(start_paused = true)]
async fn busy_traffic_is_judged_by_its_ratio_and_not_by_runs() {
    let circuit = circuit(exact());
    succeed(&circuit, 20);
    fail(&circuit, 19);
    assert_eq!(circuit.state(), CircuitState::Closed, "19 of 39");
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open, "20 of 40");
    assert_eq!(history(circuit.dependency()), ["1 opened: failure ratio"]);
}

#[tokio::test(start_paused = true)]
async fn the_call_that_fills_the_window_is_judged_by_its_ratio() {
    let circuit = circuit(exact());
    succeed(&circuit, 15);
    fail(&circuit, 5);
    assert_eq!(circuit.state(), CircuitState::Closed, "a quarter of twenty");
}

#[tokio::test(start_paused = true)]
async fn less_than_the_minimum_of_calls_is_never_judged_by_ratio() {
    let circuit = circuit(exact().no_consecutive_failures());
    fail(&circuit, 19);
    assert_eq!(circuit.state(), CircuitState::Closed);
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_success_that_fills_the_window_may_be_what_opens_the_circuit() {
    let circuit = circuit(exact().no_consecutive_failures());
    fail(&circuit, 10);
    succeed(&circuit, 9);
    assert_eq!(circuit.state(), CircuitState::Closed);
    succeed(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open, "10 of 20");
}

#[tokio::test(start_paused = true)]
async fn a_success_may_open_the_circuit_when_older_successes_have_left_the_window() {
    let circuit = circuit(exact().no_consecutive_failures());
    succeed(&circuit, 30);
    advance(SECOND * 5).await;
    fail(&circuit, 20);
    assert_eq!(circuit.state(), CircuitState::Closed, "20 of 50");
    advance(SECOND * 5).await;
    succeed(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open, "20 of 21");
}

#[tokio::test(start_paused = true)]
async fn failures_that_have_left_the_window_open_nothing() {
    let circuit = circuit(exact().no_consecutive_failures());
    fail(&circuit, 15);
    advance(SECOND * 10).await;
    fail(&circuit, 15);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_ratio_is_reached_exactly_and_never_rounded() {
    for (share, of, below) in [
        (0.5, 200, 99),
        (0.07, 100, 6),
        (0.333, 1000, 332),
        (0.005, 1000, 4),
    ] {
        let policy = exact()
            .no_consecutive_failures()
            .failure_ratio(share)
            .window_of_calls(of)
            .minimum_calls(of);
        let below_it = circuit(policy.clone());
        fail(&below_it, below);
        succeed(&below_it, of - below);
        assert_eq!(
            below_it.state(),
            CircuitState::Closed,
            "{below} of {of}, {share}"
        );

        let at_it = circuit(policy);
        fail(&at_it, below + 1);
        succeed(&at_it, of - below - 1);
        assert_eq!(
            at_it.state(),
            CircuitState::Open,
            "{} of {of}, {share}",
            below + 1
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_threshold_of_everything_opens_only_when_everything_fails() {
    let policy = exact().no_consecutive_failures().failure_ratio(1.0);
    let nearly_all = circuit(policy.clone());
    succeed(&nearly_all, 1);
    fail(&nearly_all, 500);
    assert_eq!(nearly_all.state(), CircuitState::Closed);

    let all = circuit(policy);
    fail(&all, 20);
    assert_eq!(all.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn pure_success_never_opens_at_the_smallest_threshold() {
    let circuit = circuit(exact().failure_ratio(0.000_001).minimum_calls(1));
    succeed(&circuit, 1_000);
    assert_eq!(circuit.state(), CircuitState::Closed);
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_window_of_calls_forgets_all_but_the_last_calls() {
    let circuit = circuit(
        exact()
            .no_consecutive_failures()
            .window_of_calls(10)
            .minimum_calls(10),
    );
    succeed(&circuit, 1_000);
    fail(&circuit, 4);
    assert_eq!(circuit.state(), CircuitState::Closed);
    assert_eq!(circuit.stats().window_calls, 10);
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open, "five of the last ten");
}

#[tokio::test(start_paused = true)]
async fn a_window_of_calls_knows_no_time() {
    let circuit = circuit(
        exact()
            .no_consecutive_failures()
            .window_of_calls(4)
            .minimum_calls(4),
    );
    for outcome in [true, false, true] {
        if outcome {
            succeed(&circuit, 1);
        } else {
            fail(&circuit, 1);
        }
        advance(SECOND * 3600).await;
    }
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn the_classic_policy_knows_only_runs() {
    let policy = Policy::consecutive(NonZeroU32::new(3).unwrap());
    let circuit = Circuit::builder(&dependency()).policy(policy).build();
    for _ in 0..100 {
        fail(&circuit, 2);
        succeed(&circuit, 1);
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
    fail(&circuit, 3);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn the_classic_policy_takes_any_time_for_its_run() {
    let policy = Policy::consecutive(NonZeroU32::new(3).unwrap());
    let circuit = Circuit::builder(&dependency()).policy(policy).build();
    for _ in 0..3 {
        advance(SECOND * 3600).await;
        fail(&circuit, 1);
    }
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_refuses_without_touching_its_inner_service() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    let mut service = breaker(&circuit, service);
    trip(&circuit);
    for _ in 0..10 {
        let outcome = service.ready().await.unwrap().call(1).await;
        assert_eq!(reason_of(outcome), RejectReason::CircuitOpen);
    }
    assert_eq!((inner.counts().ready_polls, inner.counts().calls), (0, 0));
    assert_eq!(circuit.stats().totals.rejected, 10);
}

#[tokio::test(start_paused = true)]
async fn what_was_admitted_before_the_opening_moves_nothing_after_it() {
    let circuit = circuit(exact());
    let early: Vec<_> = (0..10).map(|_| circuit.admit().unwrap()).collect();
    trip(&circuit);
    let opened = circuit.stats();
    for ticket in early {
        ticket.failure();
    }
    let stats = circuit.stats();
    assert_eq!(
        (stats.state, stats.generation),
        (opened.state, opened.generation)
    );
    assert_eq!(stats.retry_after, opened.retry_after);
    assert_eq!(stats.window_calls, opened.window_calls);
    assert_eq!(stats.totals.failures, opened.totals.failures + 10);
}

#[tokio::test(start_paused = true)]
async fn slow_calls_open_at_their_ratio_though_all_succeed() {
    let circuit = circuit(exact().window(SECOND * 100).slow_calls(SECOND, 0.5));
    succeed(&circuit, 10);
    for n in 0..10 {
        assert_eq!(
            circuit.state(),
            CircuitState::Closed,
            "after {n} slow calls"
        );
        slow_success(&circuit).await;
    }
    assert_eq!(circuit.state(), CircuitState::Open, "10 of 20");
    assert_eq!(history(circuit.dependency()), ["1 opened: slow ratio"]);
}

async fn slow_success(circuit: &Circuit) {
    let ticket = circuit.admit().unwrap();
    advance(SECOND).await;
    ticket.success();
}

#[tokio::test(start_paused = true)]
async fn a_call_of_exactly_the_threshold_is_slow() {
    let circuit = circuit(exact().slow_calls(SECOND, 1.0));
    let ticket = circuit.admit().unwrap();
    advance(SECOND - ms(1)).await;
    ticket.success();
    assert_eq!(circuit.stats().window_slow, 0);
    slow_success(&circuit).await;
    assert_eq!(circuit.stats().window_slow, 1);
}

#[tokio::test(start_paused = true)]
async fn slowness_is_not_asked_for_by_default() {
    let circuit = circuit(exact());
    for _ in 0..100 {
        slow_success(&circuit).await;
    }
    assert_eq!(circuit.stats().totals.slow, 0);
    assert_eq!(circuit.state(), CircuitState::Closed);
}
