//! What a refused HTTP call is answered with.

use std::convert::Infallible;

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer},
    core::{Rejected, Verdict},
    http::LocalBody,
    registry::CircuitMode,
};
use brownout_testing::{MockBody, TestError};
use http::{Response, StatusCode, header};
use http_body::Body;
use tower::{Layer, ServiceExt, service_fn};

use crate::common::{SECOND, half_open, impose, named, trip};

type Answer = Response<MockBody>;

async fn refusal(circuit: &Circuit) -> Response<String> {
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_http();
    let service =
        service_fn(|()| async { Ok::<Answer, Infallible>(Response::new(MockBody::empty())) });
    let Ok(response) = layer.layer(service).oneshot(()).await;
    let (head, body) = response.into_parts();
    let length = body.size_hint().exact();
    let LocalBody::Own(Some(bytes)) = body else {
        panic!("not an answer of our own: {body:?}");
    };
    assert_eq!(length, Some(bytes.len() as u64));
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Response::from_parts(head, text)
}

#[tokio::test(start_paused = true)]
async fn a_refused_http_call_is_a_503_with_a_problem_document() {
    let circuit = named(Some("search"));
    trip(&circuit);
    let response = refusal(&circuit).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let headers = response.headers();
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(headers[header::RETRY_AFTER], "6");
    assert_eq!(
        response.body(),
        r#"{"type":"urn:brownout:circuit-open","title":"Circuit open","status":503,"detail":"search is not available at the moment","dependency":"search"}"#
    );
    let rejected = response.extensions().get::<Rejected>().unwrap();
    assert_eq!(rejected.dependency(), "pg-primary.internal");
}

#[tokio::test(start_paused = true)]
async fn strangers_never_read_the_name_that_operators_use() {
    for public_name in [None, Some("search")] {
        let circuit = named(public_name);
        trip(&circuit);
        let response = refusal(&circuit).await;
        assert!(
            !response.body().contains("pg-primary"),
            "{}",
            response.body()
        );
        for value in response.headers().values() {
            assert!(!value.to_str().unwrap().contains("pg-primary"));
        }
    }
    let unnamed = named(None);
    trip(&unnamed);
    assert!(!refusal(&unnamed).await.body().contains("\"dependency\""));
}

#[tokio::test(start_paused = true)]
async fn a_public_name_cannot_break_out_of_the_document() {
    let circuit = named(Some(r#"a"},"b",{"\c"#));
    trip(&circuit);
    let body = refusal(&circuit).await.into_body();
    let escaped = r#"a\"},\"b\",{\"\\c"#;
    assert!(
        body.ends_with(&format!(r#""dependency":"{escaped}"}}"#)),
        "{body}"
    );
    assert!(
        body.contains(&format!(r#""detail":"{escaped} is not"#)),
        "{body}"
    );
}

#[tokio::test(start_paused = true)]
async fn each_reason_has_a_problem_type_of_its_own() {
    let circuit = named(None);
    let mut half_open_one = half_open(&circuit).await;
    let _others = [circuit.admit().unwrap(), circuit.admit().unwrap()];
    let body = refusal(&circuit).await.into_body();
    assert!(body.contains("urn:brownout:circuit-half-open"), "{body}");
    half_open_one.head(Verdict::Success);
    impose(circuit.dependency(), CircuitMode::ForcedOpen, SECOND);
    let body = refusal(&circuit).await.into_body();
    assert!(body.contains("urn:brownout:circuit-forced-open"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn answers_of_the_service_pass_with_their_own_error_type() {
    let layer = CircuitBreakerLayer::with(named(None)).for_http();
    let service = service_fn(|fails: bool| async move {
        if fails {
            return Err(TestError::new("reset"));
        }
        let answer = Response::builder().status(201).header("x-mine", "1");
        Ok(answer.body(MockBody::full("made")).unwrap())
    });
    let response = layer.layer(service).oneshot(false).await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["x-mine"], "1");
    assert_eq!(response.body().size_hint().exact(), Some(4));
    let error: TestError = layer.layer(service).oneshot(true).await.unwrap_err();
    assert_eq!(error, TestError::new("reset"));
}
