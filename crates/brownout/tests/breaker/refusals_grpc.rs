//! What a refused gRPC call is answered with.

use std::convert::Infallible;

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer},
    core::{Classify, RejectReason, Rejected, Verdict},
    grpc::GrpcStatus,
    http::LocalBody,
};
use brownout_testing::MockBody;
use http::{HeaderMap, Response};
use http_body::Body;
use tower::{Layer, ServiceExt, service_fn};

use crate::common::{named, trip};

async fn refusal(circuit: &Circuit) -> HeaderMap {
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_grpc();
    let service = service_fn(|()| async {
        Ok::<Response<MockBody>, Infallible>(Response::new(MockBody::empty()))
    });
    let Ok(response) = layer.layer(service).oneshot(()).await;
    assert_eq!(response.status(), 200);
    assert!(
        matches!(response.body(), LocalBody::Own(None)),
        "trailers only"
    );
    assert!(response.body().is_end_stream());
    let rejected = response.extensions().get::<Rejected>().unwrap();
    assert_eq!(rejected.reason(), RejectReason::CircuitOpen);
    response.headers().clone()
}

#[tokio::test(start_paused = true)]
async fn a_refused_grpc_call_is_a_trailers_only_unavailable_with_retry_info() {
    let circuit = named(Some("search"));
    trip(&circuit);
    let headers = refusal(&circuit).await;
    assert_eq!(headers["content-type"], "application/grpc");
    assert_eq!(headers["grpc-status"], "14");
    assert_eq!(headers["grpc-message"], "Circuit open (search)");
    // A server that says when to come back: our own classifier reads it.
    let mut exhausted = Response::new(());
    exhausted
        .headers_mut()
        .insert("grpc-status", "8".parse().unwrap());
    let judge =
        |answer: &Response<()>| Classify::<_, Infallible>::classify(&GrpcStatus::new(), Ok(answer));
    assert_eq!(judge(&exhausted), Verdict::Neutral);
    let details = headers["grpc-status-details-bin"].clone();
    exhausted
        .headers_mut()
        .insert("grpc-status-details-bin", details);
    assert_eq!(judge(&exhausted), Verdict::Failure);
}

#[tokio::test(start_paused = true)]
async fn grpc_strangers_never_read_the_name_that_operators_use() {
    let circuit = named(None);
    trip(&circuit);
    let headers = refusal(&circuit).await;
    assert_eq!(headers["grpc-message"], "Circuit open");
    for value in headers.values() {
        assert!(!value.to_str().unwrap().contains("pg-primary"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_percent_sign_in_a_public_name_is_encoded() {
    let circuit = named(Some("50%off"));
    trip(&circuit);
    assert_eq!(
        refusal(&circuit).await["grpc-message"],
        "Circuit open (50%25off)"
    );
}
