//! Readiness: an open circuit needs none, a call that was made ready by passing the inner service by never reaches it,
//! and an inner service that does not become ready has failed.

use std::{
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::Duration,
};

use brownout::{
    breaker::CircuitBreakerLayer,
    core::{BoxError, RejectReason},
    registry::{CircuitMode, CircuitState},
};
use brownout_testing::{TestError, assert_no_busy_polling};
use tokio::time::{Instant, advance};
use tower::{Layer, Service, ServiceExt};

use crate::common::{
    Breaker, HOUR, Probe, SECOND, answer_of, breaker, circuit, exact, fail, half_open, impose, ms,
    open_and_close, pass_the_deadline, probe, reason_of, succeed, trip,
};

fn poll_ready(service: &mut Breaker<Probe>) -> Poll<Result<(), BoxError>> {
    service.poll_ready(&mut Context::from_waker(Waker::noop()))
}

fn gone() -> BoxError {
    TestError::new("the connection is gone").into()
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_ready_though_its_inner_service_is_not() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    let mut service = breaker(&circuit, service);
    trip(&circuit);
    for broken in [true, false] {
        if broken {
            inner.fail_readiness(gone);
        } else {
            inner.make_pending();
        }
        assert!(matches!(poll_ready(&mut service), Poll::Ready(Ok(()))));
        assert_eq!(reason_of(service.call(1).await), RejectReason::CircuitOpen);
    }
    assert_eq!(inner.counts().ready_polls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_bypass_never_calls_the_inner_service_whatever_has_changed_meanwhile() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    let mut bypassed: Vec<_> = (0..4).map(|_| breaker(&circuit, service.clone())).collect();
    trip(&circuit);
    for service in &mut bypassed {
        service.ready().await.unwrap();
    }
    let mut refused = 0;
    let mut expect_refusal = async |mut service: Breaker<Probe>| {
        assert_eq!(reason_of(service.call(1).await), RejectReason::CircuitOpen);
        refused += 1;
    };
    // A probe is due; the circuit is half-open; it has closed; an operator forces it closed.
    pass_the_deadline(&circuit).await;
    expect_refusal(bypassed.pop().unwrap()).await;
    let ticket = circuit.admit().unwrap();
    expect_refusal(bypassed.pop().unwrap()).await;
    ticket.success();
    succeed(&circuit, 1);
    expect_refusal(bypassed.pop().unwrap()).await;
    impose(circuit.dependency(), CircuitMode::ForcedClosed, HOUR);
    expect_refusal(bypassed.pop().unwrap()).await;
    assert_eq!((inner.counts().ready_polls, inner.counts().calls), (0, 0));
    assert_eq!(circuit.stats().totals.rejected, refused);
}

#[tokio::test(start_paused = true)]
async fn readiness_is_asked_anew_after_a_bypass() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    let mut service = breaker(&circuit, service);
    trip(&circuit);
    service.ready().await.unwrap();
    pass_the_deadline(&circuit).await;
    // Polled once more before the call: now a probe is due, and the inner service is made ready for it.
    service.ready().await.unwrap();
    assert_eq!(service.call(1).await.unwrap(), 1);
    assert_eq!(inner.counts().calls, 1);
    // A bypass counts for one call, and a service that was made ready before has no readiness of the bypass left.
    assert_eq!(service.ready().await.unwrap().call(2).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_service_made_ready_before_the_opening_is_refused_after_it() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    let mut service = breaker(&circuit, service);
    service.ready().await.unwrap();
    trip(&circuit);
    assert_eq!(reason_of(service.call(1).await), RejectReason::CircuitOpen);
    assert_eq!(inner.counts().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_ready_service_holds_no_place_of_a_probe() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    trip(&circuit);
    pass_the_deadline(&circuit).await;
    let mut idle = Vec::new();
    for _ in 0..10 {
        let mut service = breaker(&circuit, service.clone());
        service.ready().await.unwrap();
        idle.push(service);
    }
    assert_eq!(
        circuit.state(),
        CircuitState::Open,
        "readiness asks for no leave"
    );
    let mut busy = breaker(&circuit, service.clone());
    assert!(busy.ready().await.unwrap().call(1).await.is_ok());
    assert!(busy.ready().await.unwrap().call(2).await.is_ok());
    assert_eq!(circuit.state(), CircuitState::Closed);
    assert_eq!(inner.counts().calls, 2);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_counts_and_is_handed_on() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    inner.fail_readiness(gone);
    for failures in 1..=5 {
        let mut service = breaker(&circuit, service.clone());
        let error = service.ready().await.err().unwrap();
        assert_eq!(error.to_string(), "the connection is gone");
        assert_eq!(circuit.stats().totals.failures, failures);
    }
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_a_failed_probe_where_one_is_due() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    trip(&circuit);
    pass_the_deadline(&circuit).await;
    inner.fail_readiness(gone);
    assert!(breaker(&circuit, service).ready().await.is_err());
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(circuit.stats().retry_after, Some(SECOND * 10));
}

#[tokio::test(start_paused = true)]
async fn errors_of_readiness_count_while_the_circuit_ramps() {
    let circuit = circuit(exact().ramp(HOUR));
    open_and_close(&circuit).await;
    let (service, inner) = probe();
    inner.fail_readiness(gone);
    let before = circuit.stats().totals.rejected;
    for _ in 0..5 {
        assert!(breaker(&circuit, service.clone()).ready().await.is_err());
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(
        circuit.stats().totals.rejected,
        before,
        "no call was refused"
    );
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_the_inner_service_are_told_when_the_circuit_opens() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    inner.make_pending();
    let waiting: Vec<_> = (0..50)
        .map(|n| tokio::spawn(breaker(&circuit, service.clone()).oneshot(n)))
        .collect();
    inner.wait_for(|counts| counts.ready_polls == 50).await;
    let opened = Instant::now();
    trip(&circuit);
    for call in waiting {
        assert_eq!(reason_of(answer_of(call).await), RejectReason::CircuitOpen);
    }
    assert_eq!(opened.elapsed(), Duration::ZERO);
    assert_eq!(inner.counts().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_the_inner_service_are_told_when_an_operator_forces_the_circuit_open() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    inner.make_pending();
    let call = tokio::spawn(breaker(&circuit, service).oneshot(1));
    inner.wait_for(|counts| counts.ready_polls == 1).await;
    let imposed = Instant::now();
    impose(circuit.dependency(), CircuitMode::ForcedOpen, HOUR);
    assert_eq!(
        reason_of(answer_of(call).await),
        RejectReason::CircuitForcedOpen
    );
    assert_eq!(imposed.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_closed_circuits_service_has_no_end_of_its_own() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    inner.make_pending();
    let mut service = breaker(&circuit, service);
    let ready = poll_fn(|cx| service.poll_ready(cx));
    assert!(assert_no_busy_polling(ready, HOUR * 24, 1).await.is_none());
    assert_eq!(circuit.stats().totals.failures, 0);
}

#[tokio::test(start_paused = true)]
async fn ready_within_ends_the_wait_and_counts_a_failure() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    inner.make_pending();
    let layer = CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .ready_within(SECOND * 3);
    for failures in 1..=5 {
        let asked = Instant::now();
        let outcome = layer.layer(service.clone()).oneshot(1).await;
        assert_eq!(reason_of(outcome), RejectReason::NotReady);
        assert_eq!(asked.elapsed(), SECOND * 3);
        assert_eq!(circuit.stats().totals.failures, failures);
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(inner.counts().calls, 0);
    assert_eq!(
        reason_of(layer.layer(service).oneshot(1).await),
        RejectReason::CircuitOpen
    );
}

#[tokio::test(start_paused = true)]
async fn ready_within_is_a_limit_for_each_call() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    let layer = CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .ready_within(SECOND * 3);
    let mut service = layer.layer(service);
    for n in 0..10 {
        inner.make_pending();
        let wake = {
            let inner = inner.clone();
            async move {
                tokio::time::sleep(SECOND * 2).await;
                inner.make_ready();
            }
        };
        let (answer, ()) =
            tokio::join!(async { service.ready().await.unwrap().call(n).await }, wake);
        assert_eq!(answer.unwrap(), n);
    }
    assert_eq!(circuit.stats().totals.failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_limit_beyond_all_time_is_no_limit() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    inner.make_pending();
    let layer = CircuitBreakerLayer::with(circuit)
        .for_results()
        .ready_within(Duration::MAX);
    let mut service = layer.layer(service);
    assert!(
        service
            .poll_ready(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_become_ready_for_its_probe_fails_it_after_the_lease() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    trip(&circuit);
    pass_the_deadline(&circuit).await;
    inner.make_pending();
    let asked = Instant::now();
    let outcome = breaker(&circuit, service).oneshot(1).await;
    assert_eq!(reason_of(outcome), RejectReason::NotReady);
    assert_eq!(asked.elapsed(), SECOND * 5);
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(circuit.stats().retry_after, Some(SECOND * 10));
}

#[tokio::test(start_paused = true)]
async fn a_full_round_is_refused_without_touching_the_inner_service() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    let _first = half_open(&circuit).await;
    let _others = [circuit.admit().unwrap(), circuit.admit().unwrap()];
    inner.make_pending();
    let outcome = breaker(&circuit, service).oneshot(1).await;
    assert_eq!(reason_of(outcome), RejectReason::CircuitHalfOpen);
    assert_eq!(inner.counts().ready_polls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_waits_follows_its_circuit_through_all_states() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    inner.make_pending();
    let mut service = breaker(&circuit, service);
    assert!(poll_ready(&mut service).is_pending());
    fail(&circuit, 5);
    assert!(
        poll_ready(&mut service).is_ready(),
        "open: nothing to wait for"
    );
    pass_the_deadline(&circuit).await;
    assert!(
        poll_ready(&mut service).is_pending(),
        "due: a probe needs its service"
    );
    advance(ms(10)).await;
    inner.make_ready();
    assert!(poll_ready(&mut service).is_ready());
    assert_eq!(service.call(1).await.unwrap(), 1);
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
}
