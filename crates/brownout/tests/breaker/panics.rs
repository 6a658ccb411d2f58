//! Panics, wherever they come from: those of the dependency are its failures, those of a classifier are not.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll, Waker},
};

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer},
    core::{BoxError, Verdict},
    registry::CircuitState,
};
use brownout_testing::Behaviour;
use tower::{Layer, Service, ServiceExt};

use crate::common::{
    Handle, breaker, circuit, exact, half_open, pass_the_deadline, probe, succeed, trip,
};

/// A circuit and one call in a task of its own, which panics.
async fn call_that_panics(circuit: &Circuit, behaviour: Behaviour<u32, u32, BoxError>) -> Handle {
    let (service, inner) = probe();
    inner.next(behaviour);
    let call = tokio::spawn(breaker(circuit, service).oneshot(1));
    assert!(call.await.unwrap_err().is_panic());
    inner
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_inner_service_is_a_failure_wherever_it_happens() {
    let circuit = circuit(exact());
    for (failures, behaviour) in [
        Behaviour::panic_in_call(),
        Behaviour::panic_in_poll(),
        Behaviour::panic_in_poll().yielding(3),
        Behaviour::panic_in_call(),
        Behaviour::panic_in_poll(),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(circuit.stats().totals.failures, failures as u64);
        let inner = call_that_panics(&circuit, behaviour).await;
        assert_eq!(inner.counts().in_flight, 0);
    }
    assert_eq!(
        circuit.state(),
        CircuitState::Open,
        "five panics are five failures"
    );
    assert_eq!(circuit.stats().totals.abandoned, 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_probe_reopens_and_holds_no_place() {
    for behaviour in [Behaviour::panic_in_call(), Behaviour::panic_in_poll()] {
        let circuit = circuit(exact().probes(1).close_after(2, 3));
        drop(half_open(&circuit).await);
        call_that_panics(&circuit, behaviour).await;
        assert_eq!(
            circuit.state(),
            CircuitState::HalfOpen,
            "one failure is forgiven"
        );
        succeed(&circuit, 2);
        assert_eq!(circuit.state(), CircuitState::Closed);
    }
}

/// Panics when it is asked for readiness.
struct PanicsUnasked;

impl Service<u32> for PanicsUnasked {
    type Response = u32;
    type Error = BoxError;
    type Future = std::future::Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        panic!("scripted panic in `poll_ready`");
    }

    fn call(&mut self, request: u32) -> Self::Future {
        std::future::ready(Ok(request))
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_poll_ready_is_a_failure() {
    let circuit = circuit(exact());
    let mut service = breaker(&circuit, PanicsUnasked);
    for failures in 1..=5 {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(catch_unwind(AssertUnwindSafe(|| service.poll_ready(&mut cx).is_ready())).is_err());
        assert_eq!(circuit.stats().totals.failures, failures);
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    assert!(service.ready().await.is_ok(), "and now it is passed by");
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_classifier_fails_its_call_and_not_the_circuit() {
    let circuit = circuit(exact());
    let layer =
        CircuitBreakerLayer::with(circuit.clone()).classify(|outcome: Result<&u32, &BoxError>| {
            match outcome {
                Ok(13) => panic!("scripted panic in the classifier"),
                Ok(_) => Verdict::Success,
                Err(_) => Verdict::Failure,
            }
        });
    for _ in 0..100 {
        let call = tokio::spawn(layer.layer(probe().0).oneshot(13));
        assert!(call.await.unwrap_err().is_panic());
    }
    let stats = circuit.stats();
    assert_eq!((stats.totals.abandoned, stats.totals.failures), (100, 0));
    assert_eq!(layer.layer(probe().0).oneshot(1).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_classifier_gives_the_place_of_a_probe_back() {
    let circuit = circuit(exact().probes(1));
    drop(half_open(&circuit).await);
    let layer = CircuitBreakerLayer::with(circuit.clone())
        .classify(|_: Result<&u32, &BoxError>| -> Verdict { panic!("scripted panic") });
    let call = tokio::spawn(layer.layer(probe().0).oneshot(1));
    assert!(call.await.unwrap_err().is_panic());
    succeed(&circuit, 2);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_refusing_closure_leaves_the_circuit_usable() {
    let circuit = circuit(exact());
    let layer = CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .reject_with(|_| -> Result<u32, BoxError> { panic!("scripted panic") });
    trip(&circuit);
    let call = tokio::spawn(layer.layer(probe().0).oneshot(1));
    assert!(call.await.unwrap_err().is_panic());
    pass_the_deadline(&circuit).await;
    assert!(layer.layer(probe().0).oneshot(1).await.is_ok());
    assert!(layer.layer(probe().0).oneshot(1).await.is_ok());
    assert_eq!(circuit.state(), CircuitState::Closed);
}
