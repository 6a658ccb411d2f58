//! A half-open circuit: one round of probes, from the first of them to its end at the latest after one lease.

use std::time::Duration;

use brownout::{
    breaker::{Circuit, Ticket},
    core::{RejectReason, Verdict},
    registry::CircuitState,
};
use tokio::time::advance;

use crate::common::{
    HOUR, SECOND, circuit, exact, fail, half_open, history, ms, pass_the_deadline, refused,
    succeed, trip,
};

#[tokio::test(start_paused = true)]
async fn at_most_three_probes_are_out_at_once() {
    let circuit = circuit(exact());
    let first = half_open(&circuit).await;
    let _others = [circuit.admit().unwrap(), circuit.admit().unwrap()];
    let rejected = refused(&circuit);
    assert_eq!(rejected.reason(), RejectReason::CircuitHalfOpen);
    assert_eq!(
        rejected.retry_after(),
        Some(SECOND * 5),
        "the rest of the lease"
    );
    drop(first);
    let _probe = circuit.admit().unwrap();
    assert_eq!(refused(&circuit).reason(), RejectReason::CircuitHalfOpen);
}

#[tokio::test(start_paused = true)]
async fn two_good_probes_close_the_circuit() {
    let circuit = circuit(exact());
    half_open(&circuit).await.success();
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    succeed(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Closed);
    assert_eq!(circuit.stats().generation, 3);
}

#[tokio::test(start_paused = true)]
async fn any_failed_probe_reopens_by_default() {
    let circuit = circuit(exact());
    let first = half_open(&circuit).await;
    succeed(&circuit, 1);
    first.failure();
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(circuit.stats().retry_after, Some(SECOND * 10));
}

#[tokio::test(start_paused = true)]
async fn two_of_three_forgive_one_failure() {
    let circuit = circuit(exact().close_after(2, 3));
    half_open(&circuit).await.failure();
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    succeed(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    succeed(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_round_is_decided_as_soon_as_the_answer_cannot_change() {
    // Two of three: the second failure decides, the third probe is not waited for.
    let lost = circuit(exact().close_after(2, 3));
    half_open(&lost).await.failure();
    let _out = lost.admit().unwrap();
    fail(&lost, 1);
    assert_eq!(lost.state(), CircuitState::Open);
    // And two successes decide, whatever the third would say.
    let won = circuit(exact().close_after(2, 3));
    half_open(&won).await.success();
    let _out = won.admit().unwrap();
    succeed(&won, 1);
    assert_eq!(won.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn more_successes_than_probes_at_once_are_collected_one_after_another() {
    let circuit = circuit(exact().probes(1).close_after(10, 10));
    half_open(&circuit).await.success();
    succeed(&circuit, 8);
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    succeed(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_answers_only_404_closes_the_circuit_at_the_end_of_the_round() {
    let circuit = circuit(exact());
    half_open(&circuit).await.settle(Verdict::Neutral);
    for _ in 0..20 {
        circuit.admit().unwrap().settle(Verdict::Neutral);
    }
    advance(SECOND * 5 - ms(1)).await;
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    advance(ms(1)).await;
    assert_eq!(circuit.state(), CircuitState::Closed);
    assert!(circuit.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_good_answer_closes_at_the_end_of_the_round() {
    let circuit = circuit(exact());
    half_open(&circuit).await.success();
    advance(SECOND * 5).await;
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_was_forgiven_so_far_reopens_at_the_end_of_the_round() {
    let circuit = circuit(exact().close_after(2, 3));
    half_open(&circuit).await.failure();
    succeed(&circuit, 1);
    circuit.admit().unwrap().settle(Verdict::Neutral);
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    advance(SECOND * 5).await;
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(circuit.stats().retry_after, Some(SECOND * 10));
}

#[tokio::test(start_paused = true)]
async fn a_lost_probe_costs_one_lease_at_most() {
    let circuit = circuit(exact().probes(1));
    let lost = half_open(&circuit).await;
    advance(SECOND * 5 - ms(1)).await;
    assert_eq!(refused(&circuit).reason(), RejectReason::CircuitHalfOpen);
    advance(ms(1)).await;
    assert_eq!(refused(&circuit).reason(), RejectReason::CircuitOpen);
    pass_the_deadline(&circuit).await;
    succeed(&circuit, 2);
    assert_eq!(circuit.state(), CircuitState::Closed);
    lost.failure();
    assert_eq!(circuit.stats().consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_hangs_reopens_without_doubling() {
    let circuit = circuit(exact());
    trip(&circuit);
    let mut hanging = Vec::new();
    for _ in 0..5 {
        assert_eq!(circuit.stats().retry_after, Some(SECOND * 5));
        pass_the_deadline(&circuit).await;
        hanging.extend((0..3).map(|_| circuit.admit().unwrap()));
        advance(SECOND * 5).await;
        assert_eq!(circuit.state(), CircuitState::Open);
    }
    assert_eq!(
        history(circuit.dependency())[2],
        "3 opened: no probe answered"
    );
}

#[tokio::test(start_paused = true)]
async fn one_whose_callers_always_give_up_early_reopens_without_doubling() {
    let circuit = circuit(exact());
    let first = half_open(&circuit).await;
    drop(first);
    for _ in 0..49 {
        drop(circuit.admit().unwrap());
        advance(ms(100)).await;
    }
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    advance(ms(100)).await;
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(circuit.stats().retry_after, Some(SECOND * 5));
    assert_eq!(circuit.stats().totals.abandoned, 50);
}

#[tokio::test(start_paused = true)]
async fn a_round_ends_at_its_time_even_if_nobody_looks() {
    let answered = circuit(exact().ramp(SECOND * 10));
    half_open(&answered).await.success();
    advance(HOUR).await;
    assert_eq!(answered.state(), CircuitState::Closed);
    succeed(&answered, 100);

    let hung = circuit(exact());
    let _out = half_open(&hung).await;
    advance(HOUR).await;
    assert_eq!(hung.state(), CircuitState::Open);
    assert_eq!(
        hung.stats().retry_after,
        Some(Duration::ZERO),
        "due long since"
    );
    assert!(hung.admit().is_ok());
    assert_eq!(hung.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn the_round_starts_with_its_first_probe_and_not_when_the_open_time_ends() {
    let circuit = circuit(exact());
    trip(&circuit);
    advance(HOUR).await;
    let _probe = circuit.admit().unwrap();
    assert_eq!(circuit.stats().retry_after, Some(SECOND * 5));
}

#[tokio::test(start_paused = true)]
async fn a_slow_success_does_not_close_what_slowness_opened() {
    let circuit = circuit(exact().window(SECOND * 100).slow_calls(SECOND, 0.5));
    open_by_slowness(&circuit).await;
    pass_the_deadline(&circuit).await;
    slow(circuit.admit().unwrap()).await.success();
    assert_eq!(circuit.state(), CircuitState::Open);
    pass_the_deadline(&circuit).await;
    succeed(&circuit, 2);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_slow_success_closes_what_failures_opened() {
    let circuit = circuit(exact().slow_calls(SECOND, 0.5));
    fail(&circuit, 5);
    pass_the_deadline(&circuit).await;
    for _ in 0..2 {
        slow(circuit.admit().unwrap()).await.success();
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
}

async fn open_by_slowness(circuit: &Circuit) {
    for _ in 0..20 {
        slow(circuit.admit().unwrap()).await.success();
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(history(circuit.dependency()), ["1 opened: slow ratio"]);
}

async fn slow(ticket: Ticket) -> Ticket {
    advance(SECOND).await;
    ticket
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_an_earlier_round_cannot_close_the_present_one() {
    let circuit = circuit(exact().close_after(1, 1));
    let early = half_open(&circuit).await;
    fail(&circuit, 1);
    pass_the_deadline(&circuit).await;
    let _probe = circuit.admit().unwrap();
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    early.success();
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn a_call_admitted_while_closed_is_no_probe() {
    let circuit = circuit(exact().close_after(1, 1));
    let [good, bad, dropped] = [(); 3].map(|()| circuit.admit().unwrap());
    let _probe = half_open(&circuit).await;
    let before = circuit.stats();
    good.success();
    bad.failure();
    drop(dropped);
    let after = circuit.stats();
    assert_eq!(
        (after.state, after.generation),
        (before.state, before.generation)
    );
    assert_eq!(after.totals.successes, before.totals.successes + 1);
    // Nor has one of them given back a place that it never had.
    let _places = [circuit.admit().unwrap(), circuit.admit().unwrap()];
    assert!(circuit.admit().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_head_of_an_answer_counts_for_its_probe_and_gives_its_place_back() {
    let circuit = circuit(exact().probes(1));
    let mut first = half_open(&circuit).await;
    first.head(Verdict::Success);
    let mut second = circuit.admit().unwrap();
    second.head(Verdict::Success);
    assert_eq!(
        circuit.state(),
        CircuitState::Closed,
        "two endless streams have begun well"
    );
    drop(first);
    drop(second);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_body_judged_later_can_only_add_a_failure() {
    let good = circuit(exact().probes(1));
    let mut ticket = half_open(&good).await;
    ticket.head(Verdict::Success);
    ticket.success();
    assert_eq!(
        good.state(),
        CircuitState::HalfOpen,
        "one call is one success"
    );

    let bad = circuit(exact().probes(1));
    let mut ticket = half_open(&bad).await;
    ticket.head(Verdict::Success);
    ticket.failure();
    assert_eq!(bad.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn slowness_is_measured_to_the_head_only() {
    let circuit = circuit(exact().window(SECOND * 100).slow_calls(SECOND, 0.5));
    open_by_slowness(&circuit).await;
    pass_the_deadline(&circuit).await;
    let mut probes = [circuit.admit().unwrap(), circuit.admit().unwrap()];
    for probe in &mut probes {
        probe.head(Verdict::Success);
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
    let mut ticket = circuit.admit().unwrap();
    ticket.head(Verdict::Success);
    advance(SECOND * 30).await;
    ticket.success();
    assert_eq!(circuit.stats().window_slow, 0);
}

#[tokio::test(start_paused = true)]
async fn one_trip_reopens_for_the_time_it_asks_for() {
    let circuit = circuit(exact().close_after(1, 10));
    let open_for = SECOND * 33;
    half_open(&circuit).await.settle(Verdict::Trip { open_for });
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(circuit.stats().retry_after, Some(open_for));
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_the_round_is_over_decides_nothing() {
    let circuit = circuit(exact().close_after(1, 1));
    let probe = half_open(&circuit).await;
    advance(SECOND * 5).await;
    probe.success();
    assert_eq!(circuit.state(), CircuitState::Open);
}
