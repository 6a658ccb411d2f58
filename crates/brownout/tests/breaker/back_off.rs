//! For how long a circuit opens: five seconds, doubled by each reopening, spread by jitter, or as long as it was asked to.

use std::time::Duration;

use brownout::{
    Registry,
    breaker::Circuit,
    core::{RejectReason, Verdict},
    registry::CircuitState,
};
use tokio::time::advance;

use crate::common::{
    SECOND, circuit, exact, fail, half_open, history, ms, open_and_close, pass_the_deadline,
    refused, succeed, trip,
};

#[tokio::test(start_paused = true)]
async fn it_stays_open_for_five_seconds_and_admits_at_the_very_end() {
    let circuit = circuit(exact());
    trip(&circuit);
    assert_eq!(circuit.stats().retry_after, Some(SECOND * 5));
    assert_eq!(refused(&circuit).retry_after(), Some(SECOND * 5));
    advance(SECOND * 5 - Duration::from_nanos(1)).await;
    assert_eq!(
        refused(&circuit).retry_after(),
        Some(Duration::from_nanos(1))
    );
    advance(Duration::from_nanos(1)).await;
    assert_eq!(circuit.state(), CircuitState::Open, "until a call asks");
    circuit.admit().unwrap().success();
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn each_reopening_doubles_the_open_time_up_to_a_minute() {
    let circuit = circuit(exact());
    trip(&circuit);
    for expected in [5, 10, 20, 40, 60, 60, 60] {
        assert_eq!(circuit.stats().retry_after, Some(SECOND * expected));
        pass_the_deadline(&circuit).await;
        fail(&circuit, 1);
        assert_eq!(circuit.state(), CircuitState::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn back_off_goes_on_where_the_circuit_was_closed_for_less_than_a_window() {
    let circuit = circuit(exact());
    open_and_close(&circuit).await;
    advance(SECOND * 10 - ms(1)).await;
    trip(&circuit);
    assert_eq!(circuit.stats().retry_after, Some(SECOND * 10));
}

#[tokio::test(start_paused = true)]
async fn back_off_starts_over_after_one_healthy_window() {
    let circuit = circuit(exact());
    open_and_close(&circuit).await;
    advance(SECOND * 10).await;
    trip(&circuit);
    assert_eq!(circuit.stats().retry_after, Some(SECOND * 5));
}

#[tokio::test(start_paused = true)]
async fn open_times_are_spread_by_a_fifth_in_both_directions() {
    let mut lengths: Vec<_> = (0..200).map(first_open_time).collect();
    lengths.sort();
    assert!(
        lengths[0] >= SECOND * 4 && lengths[199] <= SECOND * 6,
        "{lengths:?}"
    );
    assert!(
        lengths[0] < ms(4_200) && lengths[199] > ms(5_800),
        "{lengths:?}"
    );
    lengths.dedup();
    assert!(lengths.len() > 190, "replicas must not probe in step");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_open_times() {
    assert_eq!(first_open_time(11), first_open_time(11));
    assert_ne!(first_open_time(11), first_open_time(12));
}

fn first_open_time(seed: u64) -> Duration {
    let registry = Registry::builder().seed(seed).build().unwrap();
    let circuit = Circuit::new(&registry.dependency("search").register().unwrap());
    trip(&circuit);
    circuit.stats().retry_after.unwrap()
}

#[tokio::test(start_paused = true)]
async fn one_trip_opens_the_circuit_for_the_time_it_asks_for() {
    let circuit = circuit(exact());
    succeed(&circuit, 1_000);
    let open_for = SECOND * 17;
    circuit.admit().unwrap().settle(Verdict::Trip { open_for });
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(circuit.stats().retry_after, Some(open_for));
    assert_eq!(
        history(circuit.dependency()),
        ["1 opened: asked by the dependency"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_dependency_asks_for_is_clamped_to_the_longest_open_time() {
    for open_for in [SECOND * 61, SECOND * 86_400, Duration::MAX] {
        let circuit = circuit(exact());
        circuit.admit().unwrap().settle(Verdict::Trip { open_for });
        assert_eq!(
            circuit.stats().retry_after,
            Some(SECOND * 60),
            "{open_for:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_comes_back_earlier_than_the_dependency_asked() {
    for seed in 0..50 {
        let registry = Registry::builder().seed(seed).build().unwrap();
        let circuit = Circuit::new(&registry.dependency("search").register().unwrap());
        let open_for = SECOND * 10;
        circuit.admit().unwrap().settle(Verdict::Trip { open_for });
        let left = circuit.stats().retry_after.unwrap();
        assert!((open_for..=SECOND * 12).contains(&left), "{left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_circuit_reopened_by_a_probe_refuses_again_at_once() {
    let circuit = circuit(exact());
    half_open(&circuit).await.failure();
    assert_eq!(refused(&circuit).reason(), RejectReason::CircuitOpen);
    assert_eq!(refused(&circuit).retry_after(), Some(SECOND * 10));
}
