//! Chains on HTTP.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use brownout::{
    Registry,
    breaker::{Circuit, CircuitBreakerLayer},
    core::{BoxError, Marks, Rejected, Verdict},
    fallback::{Exhausted, Failed, FallbackLayer, Tier},
    http::LocalBody,
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Either;
use tower::{Layer, Service, ServiceBuilder, service_fn};

use crate::common::SECOND;

/// A body with something in it or nothing, neither `Clone` nor `Sync`.
#[derive(Default)]
struct Words(Option<Bytes>, std::marker::PhantomData<std::cell::Cell<()>>);

impl Body for Words {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

fn words(text: &'static str) -> Words {
    Words(
        Some(Bytes::from_static(text.as_bytes())),
        std::marker::PhantomData,
    )
}

fn request(method: Method, body: Words) -> Request<Words> {
    Request::builder()
        .method(method)
        .uri("/users/7?full")
        .header("x-id", "7")
        .body(body)
        .unwrap()
}

fn answer(status: StatusCode) -> Response<Words> {
    Response::builder()
        .status(status)
        .body(words("answer"))
        .unwrap()
}

fn answering(
    status: StatusCode,
) -> impl Service<Request<Words>, Response = Response<Words>, Error = Infallible, Future: Unpin> + Clone
{
    service_fn(move |_: Request<Words>| std::future::ready(Ok(answer(status))))
}

/// The status that a caller sees where the primary answers `primary` and the last tier 203.
async fn seen(
    method: Method,
    body: Words,
    primary: StatusCode,
    idempotent: bool,
    key: bool,
) -> StatusCode {
    let chain = FallbackLayer::for_http();
    let chain = if idempotent {
        chain.idempotent()
    } else {
        chain
    };
    let layer = chain
        .last("tier", |_| async {
            answer(StatusCode::NON_AUTHORITATIVE_INFORMATION)
        })
        .unwrap();
    let mut request = request(method, body);
    if key {
        request
            .headers_mut()
            .insert("idempotency-key", "k-1".parse().unwrap());
    }
    let Ok::<_, Infallible>(response) = layer.layer(answering(primary)).oneshot(request).await;
    response.status()
}

#[tokio::test]
async fn a_failing_status_of_a_safe_method_descends_and_no_other() {
    for (status, sees) in [
        (200, 200),
        (304, 304),
        (404, 404),
        (429, 429),
        (500, 203),
        (503, 203),
    ] {
        let primary = StatusCode::from_u16(status).unwrap();
        let sees = StatusCode::from_u16(sees).unwrap();
        assert_eq!(
            seen(Method::GET, Words::default(), primary, false, false).await,
            sees
        );
    }
}

#[tokio::test]
async fn a_write_descends_after_a_failing_status_only_with_leave_and_a_key() {
    let failed = StatusCode::INTERNAL_SERVER_ERROR;
    for (idempotent, key) in [(false, false), (false, true), (true, false)] {
        assert_eq!(
            seen(Method::POST, Words::default(), failed, idempotent, key).await,
            failed
        );
    }
    let served = StatusCode::NON_AUTHORITATIVE_INFORMATION;
    assert_eq!(
        seen(Method::POST, Words::default(), failed, true, true).await,
        served
    );
}

#[tokio::test]
async fn a_request_whose_body_cannot_be_kept_gets_the_failed_answer_as_it_is() {
    let failed = StatusCode::BAD_GATEWAY;
    assert_eq!(
        seen(Method::GET, words("a query"), failed, false, false).await,
        failed
    );
}

#[tokio::test]
async fn an_error_that_may_not_descend_becomes_a_503_that_claims_nothing() {
    let primary = service_fn(|_: Request<Words>| async {
        Err::<Response<Words>, BoxError>("10.0.0.7 reset".into())
    });
    let layer = FallbackLayer::for_http()
        .last("tier", |_| async { answer(StatusCode::OK) })
        .unwrap();
    let Ok(response) = layer
        .layer(primary)
        .oneshot(request(Method::POST, Words::default()))
        .await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    // It may have been sent: a layer above must not take it for a refusal.
    assert!(response.extensions().get::<Rejected>().is_none());
    assert!(response.extensions().get::<Exhausted>().is_some());
    let LocalBody::Own(Some(body)) = response.into_body() else {
        panic!("our own body");
    };
    assert_eq!(
        body,
        r#"{"type":"urn:brownout:exhausted","title":"Fallbacks exhausted","status":503,"detail":"A service behind this one is not available at the moment"}"#
    );
}

#[tokio::test]
async fn a_tier_gets_the_whole_head_again() {
    let layer = FallbackLayer::for_http()
        .last("tier", |f: Failed<Request<Words>>| async move {
            assert_eq!(f.request.method(), Method::GET);
            assert_eq!(f.request.uri(), "/users/7?full");
            assert_eq!(f.request.headers()["x-id"], "7");
            assert_eq!(f.request.extensions().get::<u8>(), Some(&3));
            answer(StatusCode::OK)
        })
        .unwrap();
    let mut request = request(Method::GET, Words::default());
    request.extensions_mut().insert(3_u8);
    let Ok(response) = layer
        .layer(answering(StatusCode::BAD_GATEWAY))
        .oneshot(request)
        .await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn breaker_with_fallback_is_two_layers() {
    let registry = Registry::new();
    let users = registry
        .dependency("pg-users")
        .public_name("users")
        .register()
        .unwrap();
    let circuit = Circuit::new(&users);
    let service = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_http()
                .covering(&users)
                .last("minimal", |_| async { Response::new("{}".to_owned()) })
                .unwrap(),
        )
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(answering(StatusCode::OK));
    let get = || request(Method::GET, Words::default());
    let Ok(response) = service.clone().oneshot(get()).await;
    assert!(response.extensions().get::<Marks>().is_none());
    circuit
        .admit()
        .unwrap()
        .settle(Verdict::Trip { open_for: SECOND });
    // A refused write was not sent, so it descends as well, with no key at all.
    for request in [get(), request(Method::POST, Words::default())] {
        let Ok(response) = service.clone().oneshot(request).await;
        let marks = response.extensions().get::<Marks>().unwrap();
        let marks: Vec<_> = marks.iter().map(ToString::to_string).collect();
        assert_eq!(marks, ["users;tier=minimal;reason=circuit-open"]);
        assert!(response.extensions().get::<Rejected>().is_none());
    }
}

#[tokio::test]
async fn requests_in_memory_are_cloned_with_their_bodies() {
    use in_memory::Text;

    let primary = service_fn(|_: Request<Text>| async { Ok::<_, Infallible>(in_memory::failed()) });
    let layer = FallbackLayer::for_http()
        .safe()
        .cloning()
        .last("tier", |f: Failed<Request<Text>>| async move {
            Response::new(f.request.into_body())
        })
        .unwrap();
    let Ok(response) = layer
        .layer(primary)
        .oneshot(Request::post("/").body(Text("hello")).unwrap())
        .await;
    let LocalBody::Inner(Either::Right(Text(text))) = response.into_body() else {
        panic!("the tier's body");
    };
    assert_eq!(text, "hello");
}

/// A body that is `Clone` and has no default.
mod in_memory {
    use http::{Response, StatusCode};

    #[derive(Clone, Debug)]
    pub(super) struct Text(pub(super) &'static str);

    pub(super) fn failed() -> Response<Text> {
        let mut response = Response::new(Text("failed"));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_may_fail_ends_with_its_last_tiers_failed_answer() {
    let layer = FallbackLayer::for_http()
        .tier(Tier::new("mirror", answering(StatusCode::GATEWAY_TIMEOUT)))
        .build()
        .unwrap();
    let response = layer
        .layer(answering(StatusCode::BAD_GATEWAY))
        .oneshot(request(Method::GET, Words::default()))
        .await;
    assert_eq!(response.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
    let layer = FallbackLayer::for_http()
        .tier(Tier::new("mirror", answering(StatusCode::GATEWAY_TIMEOUT)))
        .exhausted_answers()
        .build()
        .unwrap();
    let Ok(response) = layer
        .layer(answering(StatusCode::BAD_GATEWAY))
        .oneshot(request(Method::GET, Words::default()))
        .await;
    let exhausted = response.extensions().get::<Exhausted>().unwrap();
    assert_eq!(exhausted.failures().count(), 2);
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}
