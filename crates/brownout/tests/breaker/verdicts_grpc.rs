//! What gRPC answers say about the dependency: by their status, in head or trailers.

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer},
    core::Rejected,
    registry::CircuitState,
};
use brownout_testing::{
    MockBody, TestError,
    body::{data, error, trailers},
};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use tower::{Layer, ServiceExt, service_fn};

use crate::common::{circuit, exact, half_open, refused, trip};

type Answer = Result<Response<MockBody>, TestError>;

fn with_status(code: &str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.parse().unwrap())])
}

fn trailers_only(code: &str) -> Response<MockBody> {
    let mut response = Response::new(MockBody::empty());
    *response.headers_mut() = with_status(code);
    response
}

/// A stream of one message, with this status after it.
fn streamed(code: &str) -> Response<MockBody> {
    Response::new(MockBody::new([
        data("message"),
        trailers(with_status(code)),
    ]))
}

/// Makes one call that is answered so and reads it to its end, and says what the circuit has counted.
async fn judged_by(circuit: &Circuit, answer: Answer) -> &'static str {
    let before = circuit.stats().totals;
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_grpc();
    let answer = std::sync::Mutex::new(Some(answer));
    let service = service_fn(|()| std::future::ready(answer.lock().unwrap().take().unwrap()));
    if let Ok(response) = layer.layer(service).oneshot(()).await {
        let mut body = std::pin::pin!(response.into_body());
        while let Some(Ok(_)) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {}
    }
    let after = circuit.stats().totals;
    match (
        after.successes - before.successes,
        after.neutral - before.neutral,
        after.failures - before.failures,
    ) {
        (1, 0, 0) => "success",
        (0, 1, 0) => "neutral",
        (0, 0, 1) => "failure",
        other => panic!("{other:?}"),
    }
}

async fn judged(answer: Answer) -> &'static str {
    judged_by(&circuit(exact()), answer).await
}

const VERDICTS: [(&str, &str); 17] = [
    ("0", "success"),  // OK
    ("1", "neutral"),  // CANCELLED
    ("2", "failure"),  // UNKNOWN
    ("3", "success"),  // INVALID_ARGUMENT
    ("4", "failure"),  // DEADLINE_EXCEEDED
    ("5", "success"),  // NOT_FOUND
    ("6", "success"),  // ALREADY_EXISTS
    ("7", "success"),  // PERMISSION_DENIED
    ("8", "neutral"),  // RESOURCE_EXHAUSTED, without retry info
    ("9", "success"),  // FAILED_PRECONDITION
    ("10", "neutral"), // ABORTED
    ("11", "success"), // OUT_OF_RANGE
    ("12", "success"), // UNIMPLEMENTED
    ("13", "failure"), // INTERNAL
    ("14", "failure"), // UNAVAILABLE
    ("15", "failure"), // DATA_LOSS
    ("16", "success"), // UNAUTHENTICATED
];

#[tokio::test(start_paused = true)]
async fn every_status_is_judged_alike_in_head_and_trailers() {
    for (code, verdict) in VERDICTS {
        assert_eq!(
            judged(Ok(trailers_only(code))).await,
            verdict,
            "head: {code}"
        );
        assert_eq!(
            judged(Ok(streamed(code))).await,
            verdict,
            "trailers: {code}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_no_specification_knows_is_a_failure() {
    for code in ["17", "99", "-1", "ok", ""] {
        assert_eq!(judged(Ok(trailers_only(code))).await, "failure", "{code:?}");
        assert_eq!(judged(Ok(streamed(code))).await, "failure", "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_without_a_status_is_a_failure() {
    let no_trailers = Response::new(MockBody::new([data("message")]));
    assert_eq!(judged(Ok(no_trailers)).await, "failure");
    assert_eq!(
        judged(Ok(Response::new(MockBody::empty()))).await,
        "failure"
    );
    let other_trailers = MockBody::new([data("message"), trailers(HeaderMap::new())]);
    assert_eq!(judged(Ok(Response::new(other_trailers))).await, "failure");
}

#[tokio::test(start_paused = true)]
async fn a_missing_status_is_mapped_from_http() {
    for (code, verdict) in [
        (400, "failure"), // INTERNAL
        (401, "success"), // UNAUTHENTICATED
        (403, "success"), // PERMISSION_DENIED
        (404, "success"), // UNIMPLEMENTED
        (429, "failure"), // UNAVAILABLE
        (502, "failure"), // UNAVAILABLE
        (503, "failure"), // UNAVAILABLE
        (504, "failure"), // UNAVAILABLE
        (500, "failure"), // UNKNOWN
        (302, "failure"), // UNKNOWN
    ] {
        for body in [MockBody::empty(), MockBody::full("<html>")] {
            let mut response = Response::new(body);
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            assert_eq!(judged(Ok(response)).await, verdict, "{code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_and_a_call_that_fails_are_failures() {
    let broken = MockBody::new([data("message"), error(TestError::new("reset"))]);
    assert_eq!(judged(Ok(Response::new(broken))).await, "failure");
    assert_eq!(judged(Err(TestError::new("refused"))).await, "failure");
}

#[tokio::test(start_paused = true)]
async fn unavailable_opens_and_not_found_does_not() {
    let circuit = circuit(exact());
    for _ in 0..50 {
        judged_by(&circuit, Ok(streamed("5"))).await;
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
    for _ in 0..50 {
        judged_by(&circuit, Ok(streamed("14"))).await;
    }
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn an_endless_healthy_stream_closes_a_half_open_circuit_by_its_head() {
    let circuit = circuit(exact());
    drop(half_open(&circuit).await);
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_grpc();
    let mut streams = Vec::new();
    for _ in 0..2 {
        let service = service_fn(|()| {
            let endless = MockBody::new([data("message"), brownout_testing::body::hang()]);
            std::future::ready(Answer::Ok(Response::new(endless)))
        });
        streams.push(layer.layer(service).oneshot(()).await.unwrap());
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_our_own_from_an_inner_layer_is_neutral() {
    let refusing = circuit(exact());
    trip(&refusing);
    let mut answer = trailers_only("14");
    answer
        .extensions_mut()
        .insert::<Rejected>(refused(&refusing));
    assert_eq!(judged(Ok(answer)).await, "neutral");
}
