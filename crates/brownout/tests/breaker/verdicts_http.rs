//! What HTTP answers say about the dependency.

use std::time::Duration;

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer, Totals},
    core::{Rejected, Verdict},
    http::{AtEnd, HttpStatus},
    registry::CircuitState,
};
use brownout_testing::{MockBody, TestError};
use http::{Response, StatusCode, header::RETRY_AFTER};
use tower::{Layer, ServiceExt, service_fn};

use crate::common::{SECOND, circuit, exact, half_open, refused, trip};

type Answer = Result<Response<MockBody>, TestError>;

fn status(code: u16) -> Response<MockBody> {
    let mut response = Response::new(MockBody::empty());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

/// Makes one call that is answered so, and says what the circuit has counted.
async fn call(circuit: &Circuit, answer: impl Fn() -> Answer) -> Totals {
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_http();
    let service = service_fn(|()| std::future::ready(answer()));
    drop(layer.layer(service).oneshot(()).await);
    circuit.stats().totals
}

async fn judged(answer: impl Fn() -> Answer) -> &'static str {
    let totals = call(&circuit(exact()), answer).await;
    match (totals.successes, totals.neutral, totals.failures) {
        (1, 0, 0) => "success",
        (0, 1, 0) => "neutral",
        (0, 0, 1) => "failure",
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_status_is_judged_by_its_class() {
    for code in [100, 101, 200, 201, 204, 206, 301, 304, 308] {
        assert_eq!(judged(|| Ok(status(code))).await, "success", "{code}");
    }
    for code in [400, 401, 403, 404, 408, 409, 422, 429, 499] {
        assert_eq!(judged(|| Ok(status(code))).await, "neutral", "{code}");
    }
    for code in [500, 501, 502, 503, 504, 507, 599, 600, 999] {
        assert_eq!(judged(|| Ok(status(code))).await, "failure", "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_a_failure() {
    assert_eq!(judged(|| Err(TestError::new("reset"))).await, "failure");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_500_all_day_opens_the_circuit() {
    let circuit = circuit(exact());
    for _ in 0..5 {
        call(&circuit, || Ok(status(500))).await;
    }
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_404_all_day_does_not() {
    let circuit = circuit(exact());
    for _ in 0..1_000 {
        call(&circuit, || Ok(status(404))).await;
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
    assert_eq!(circuit.stats().window_calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_only_404_leaves_half_open_at_the_end_of_the_round() {
    let circuit = circuit(exact());
    drop(half_open(&circuit).await);
    for _ in 0..3 {
        call(&circuit, || Ok(status(404))).await;
    }
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    tokio::time::advance(SECOND * 5).await;
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_our_own_from_an_inner_layer_is_neutral() {
    let refusing = circuit(exact());
    trip(&refusing);
    let rejected = refused(&refusing);
    let answer = || {
        let mut response = status(503);
        response
            .extensions_mut()
            .insert::<Rejected>(rejected.clone());
        Ok(response)
    };
    assert_eq!(judged(answer).await, "neutral");
    assert_eq!(
        judged(|| Ok(status(503))).await,
        "failure",
        "somebody else's 503"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_an_inner_breaker_is_neutral_to_the_outer_one() {
    let [outer, inner] = [circuit(exact()), circuit(exact())];
    trip(&inner);
    let stack = tower::ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(outer.clone()).for_http())
        .layer(CircuitBreakerLayer::with(inner).for_http());
    for _ in 0..10 {
        let service = service_fn(|()| async { Ok::<_, TestError>(status(200)) });
        let response = stack.clone().service(service).oneshot(()).await.unwrap();
        assert_eq!(response.status(), 503);
    }
    assert_eq!(outer.stats().totals.neutral, 10);
    assert_eq!(outer.state(), CircuitState::Closed);
}

fn unavailable_for(retry_after: &str) -> Response<MockBody> {
    let mut response = status(503);
    response
        .headers_mut()
        .insert(RETRY_AFTER, retry_after.parse().unwrap());
    response
}

#[tokio::test(start_paused = true)]
async fn retry_after_opens_nothing_unless_it_was_asked_for() {
    let circuit = circuit(exact());
    call(&circuit, || Ok(unavailable_for("30"))).await;
    assert_eq!(circuit.state(), CircuitState::Closed);
    assert_eq!(circuit.stats().totals.failures, 1);
}

#[tokio::test(start_paused = true)]
async fn a_503_with_retry_after_opens_the_circuit_for_that_long_where_it_was_asked_for() {
    for (retry_after, opens) in [
        ("30", Some(SECOND * 30)),
        (" 7 ", Some(SECOND * 7)),
        ("86400", Some(SECOND * 60)),
        // Dates and garbage are failures like any other.
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
        ("soon", None),
        ("99999999999999999999999", None),
    ] {
        let circuit = circuit(exact());
        let layer = CircuitBreakerLayer::with(circuit.clone())
            .for_http()
            .observe(AtEnd::new(HttpStatus::new().trip_on_retry_after()));
        let service = service_fn(|()| std::future::ready(Answer::Ok(unavailable_for(retry_after))));
        drop(layer.layer(service).oneshot(()).await.unwrap());
        assert_eq!(circuit.stats().retry_after, opens, "{retry_after}");
        assert_eq!(circuit.stats().totals.failures, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_503_can_ask_to_be_left_alone() {
    let circuit = circuit(exact());
    let layer = CircuitBreakerLayer::with(circuit.clone())
        .for_http()
        .observe(AtEnd::new(HttpStatus::new().trip_on_retry_after()));
    for code in [429, 500, 301] {
        let service = service_fn(|()| {
            let mut response = status(code);
            response
                .headers_mut()
                .insert(RETRY_AFTER, "30".parse().unwrap());
            std::future::ready(Ok::<_, TestError>(response))
        });
        drop(layer.layer(service).oneshot(()).await.unwrap());
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_classifier_of_ones_own_decides() {
    let circuit = circuit(exact());
    let layer = CircuitBreakerLayer::with(circuit.clone())
        .for_http()
        .observe(AtEnd::new(
            |outcome: Result<&Response<MockBody>, &TestError>| match outcome {
                Ok(response) if response.status() == StatusCode::NOT_FOUND => Verdict::Failure,
                Ok(_) => Verdict::Success,
                Err(_) => Verdict::Trip {
                    open_for: Duration::ZERO,
                },
            },
        ));
    for (code, failures) in [(404, 1), (500, 1), (404, 2)] {
        let service = service_fn(|()| std::future::ready(Ok(status(code))));
        drop(layer.layer(service).oneshot(()).await.unwrap());
        assert_eq!(circuit.stats().totals.failures, failures);
    }
    let service = service_fn(|()| std::future::ready(Answer::Err(TestError::new("reset"))));
    layer.layer(service).oneshot(()).await.unwrap_err();
    assert_eq!(circuit.state(), CircuitState::Open);
}
