//! A ramp: after closing, the admitted share climbs, so that a dependency which comes back cold is not stampeded.

use std::time::Duration;

use brownout::{
    Registry,
    breaker::{Circuit, Policy},
    core::RejectReason,
    registry::CircuitState,
};
use tokio::time::advance;

use crate::common::{HOUR, SECOND, circuit, exact, fail, ms, open_and_close, refused, succeed};

const CALLS: usize = 2_000;

/// How many of 2,000 calls are admitted at this moment.
fn admitted(circuit: &Circuit) -> usize {
    (0..CALLS).filter(|_| circuit.admit().is_ok()).count()
}

async fn ramping(ramp: Duration) -> Circuit {
    let circuit = circuit(exact().ramp(ramp));
    open_and_close(&circuit).await;
    circuit
}

#[tokio::test(start_paused = true)]
async fn without_a_ramp_all_calls_pass_at_once_after_closing() {
    let circuit = circuit(exact());
    open_and_close(&circuit).await;
    assert_eq!(admitted(&circuit), CALLS);
}

#[tokio::test(start_paused = true)]
async fn the_admitted_share_climbs_to_all() {
    let circuit = ramping(SECOND * 10).await;
    let mut shares = Vec::new();
    for _ in 0..10 {
        shares.push(admitted(&circuit));
        advance(SECOND).await;
    }
    for (second, &share) in shares.iter().enumerate().skip(1) {
        let expected = CALLS * second / 10;
        assert!(share.abs_diff(expected) < 100, "{second}: {shares:?}");
    }
    assert_eq!(admitted(&circuit), CALLS, "after its end");
}

#[tokio::test(start_paused = true)]
async fn the_first_calls_are_not_all_refused() {
    let circuit = ramping(HOUR).await;
    let first = admitted(&circuit);
    assert!((100..300).contains(&first), "about a tenth: {first}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_how_long_the_ramp_still_takes() {
    let circuit = ramping(SECOND * 10).await;
    advance(SECOND * 4).await;
    let rejected = loop {
        if let Err(rejected) = circuit.admit() {
            break rejected;
        }
    };
    assert_eq!(rejected.reason(), RejectReason::CircuitRamping);
    assert_eq!(rejected.retry_after(), Some(SECOND * 6));
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_does_not_ramp_before_it_was_ever_open() {
    let circuit = circuit(exact().ramp(HOUR));
    assert_eq!(admitted(&circuit), CALLS);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_falls_again_while_it_is_ramped_up_opens_the_circuit() {
    let circuit = ramping(SECOND * 10).await;
    advance(SECOND * 10 - ms(1)).await;
    for _ in 0..5 {
        loop {
            if let Ok(ticket) = circuit.admit() {
                ticket.failure();
                break;
            }
        }
    }
    assert_eq!(refused(&circuit).reason(), RejectReason::CircuitOpen);
}

#[tokio::test(start_paused = true)]
async fn a_ramp_ends_even_if_nobody_looks() {
    let circuit = ramping(SECOND * 10).await;
    advance(SECOND * 10).await;
    succeed(&circuit, 100);
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_admits_the_same_calls() {
    let mut runs = Vec::new();
    for seed in [3, 3, 4] {
        let registry = Registry::builder().seed(seed).build().unwrap();
        let circuit = Circuit::builder(&registry.dependency("search").register().unwrap())
            .policy(
                Policy::builder()
                    .jitter(0.0)
                    .ramp(SECOND * 10)
                    .build()
                    .unwrap(),
            )
            .build();
        open_and_close(&circuit).await;
        advance(SECOND * 5).await;
        runs.push(
            (0..200)
                .map(|_| circuit.admit().is_ok())
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}
