//! Requests with bodies: a replay layer outside the chain, so that a tier gets what the primary has read.

use ::axum::{
    Router,
    body::Body,
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::{any, post},
};
use brownout::{
    core::BoxError,
    fallback::{Failed, FallbackLayer, Tier},
    http::{ReplayBody, ReplayLayer},
};
use brownout_tests::{Server, server::Hits};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{ServiceBuilder, service_fn};

use crate::common::{fine, nowhere, recommendations, see, show_marks};

/// Clients of both versions.
fn uploaders<B>() -> [Client<HttpConnector, B>; 2]
where
    B: http_body::Body<Data: Send> + Send,
{
    [false, true].map(|http2| {
        Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build_http()
    })
}

/// A POST of JSON, with an idempotency key or without.
fn order(uri: &str, key: Option<&str>, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::post(uri).header("content-type", "application/json");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    request.body(Full::new(body.into())).unwrap()
}

/// Reads the order, and fails.
fn reads_and_fails(hits: &Hits, order: &Bytes) -> StatusCode {
    assert!(!order.is_empty());
    hits.hit();
    StatusCode::BAD_GATEWAY
}

/// Answers with what it was sent.
async fn echo<B>(request: Request<B>) -> Result<Response, BoxError>
where
    B: http_body::Body<Error: Into<BoxError>>,
{
    let key = request.headers().get("idempotency-key").cloned();
    let body = request.into_body().collect().await.map_err(Into::into)?;
    Ok((key.map(|key| [("x-key", key)]), Body::from(body.to_bytes())).into_response())
}

#[tokio::test]
async fn an_order_with_a_key_falls_to_a_tier_that_gets_the_same_body() {
    let hits = Hits::default();
    let (recs, _) = recommendations();
    let counted = hits.clone();
    let layers = ServiceBuilder::new().layer(ReplayLayer::new()).layer(
        FallbackLayer::for_http()
            .covering(&recs)
            .idempotent()
            .tier(Tier::new(
                "mirror",
                service_fn(|request: Request<ReplayBody<_>>| echo(request)),
            ))
            .last_head("queued", |f| async move {
                let key = &f.request.headers()["idempotency-key"];
                (StatusCode::ACCEPTED, key.to_str().unwrap().to_owned()).into_response()
            })
            .unwrap(),
    );
    let app = Router::new()
        .route(
            "/",
            post(async move |order| reads_and_fails(&counted, &order)),
        )
        .layer(layers)
        .layer(map_response(show_marks));
    let server = Server::axum(app).await;
    let large = "x".repeat(64 * 1024 + 1);
    for (n, mut client) in uploaders::<Full<_>>().into_iter().enumerate() {
        let mut place = async |key, body: &str| {
            see(&mut client, order(&server.uri("/"), key, body.to_owned())).await
        };

        assert_eq!(
            place(Some("k-1"), r#"{"pears":2}"#).await,
            fine(
                r#"{"pears":2}"#,
                "recommendations;tier=mirror;reason=failed"
            )
        );
        // Up to the limit, and over it.
        assert_eq!(place(Some("k-2"), &large[1..]).await.1, large[1..]);
        assert_eq!(
            place(Some("k-3"), &large).await,
            (
                202,
                "k-3".to_owned(),
                "recommendations;tier=queued;reason=failed;head-only".to_owned()
            )
        );
        // Nobody can tell whether this one was placed, so it is not placed again.
        assert_eq!(
            place(None, r#"{"pears":2}"#).await,
            (502, String::new(), String::new())
        );
        assert_eq!(hits.count(), 4 * (n + 1));
    }
}

#[tokio::test]
async fn without_a_tier_for_heads_a_large_upload_gets_the_primarys_failure() {
    let hits = Hits::default();
    let counted = hits.clone();
    let layers = ServiceBuilder::new().layer(ReplayLayer::new()).layer(
        FallbackLayer::for_http()
            .idempotent()
            .last("accepted", |_| async {
                StatusCode::ACCEPTED.into_response()
            })
            .unwrap(),
    );
    let app = Router::new()
        .route(
            "/",
            post(async move |order| reads_and_fails(&counted, &order)),
        )
        .layer(layers);
    let server = Server::axum(app).await;
    for mut client in uploaders::<Full<_>>() {
        for (size, status) in [(64 * 1024, 202), (64 * 1024 + 1, 502)] {
            let upload = order(&server.uri("/"), Some("k"), vec![b'x'; size]);
            assert_eq!(see(&mut client, upload).await.0, status);
        }
    }
    assert_eq!(hits.count(), 4);
}

/// `Router::layer` gives what is inside a body of axum's own type, of which nobody can tell that it was kept.
#[tokio::test]
async fn a_replay_layer_that_is_not_in_one_stack_with_its_chain_is_of_no_use_to_it() {
    async fn accepted<Req>(_: Failed<Req>) -> Response {
        StatusCode::ACCEPTED.into_response()
    }
    let chain = || FallbackLayer::for_http().idempotent();
    let app = Router::new().fallback(any(async |order| reads_and_fails(&Hits::default(), &order)));
    let apart = app
        .clone()
        .layer(chain().last("accepted", accepted).unwrap())
        .layer(ReplayLayer::new());
    let together = app.layer((
        ReplayLayer::new(),
        chain().last("accepted", accepted).unwrap(),
    ));
    for (app, status) in [(apart, 502), (together, 202)] {
        let server = Server::axum(app).await;
        for mut client in uploaders::<Full<_>>() {
            let upload = order(&server.uri("/"), Some("k"), "{}");
            assert_eq!(see(&mut client, upload).await.0, status);
        }
    }
}

#[tokio::test]
async fn a_client_sends_an_upload_to_the_mirror_that_the_primary_has_read_or_could_not_be_reached_for()
 {
    let hits = Hits::default();
    let counted = hits.clone();
    let server = Server::axum(
        Router::new()
            .route(
                "/fails",
                post(async move |order| reads_and_fails(&counted, &order)),
            )
            .route(
                "/",
                post(async |request: Request<Body>| echo(request).await.unwrap()),
            ),
    )
    .await;
    let at_mirror = server.uri("/");
    for sender in uploaders() {
        let mirror = ServiceBuilder::new()
            .map_request({
                let at_mirror = at_mirror.clone();
                move |mut request: Request<_>| {
                    *request.uri_mut() = at_mirror.parse().unwrap();
                    request
                }
            })
            .map_err(BoxError::from)
            .service(sender.clone());
        let mut client = ServiceBuilder::new()
            .layer(ReplayLayer::new())
            .layer(
                FallbackLayer::for_http()
                    .idempotent()
                    .tier(Tier::new("mirror", mirror))
                    .build()
                    .unwrap(),
            )
            .map_err(BoxError::from)
            .service(sender);
        let marks = |reason| format!("unnamed;tier=mirror;reason={reason}");
        assert_eq!(
            see(&mut client, order(&server.uri("/fails"), Some("k"), "{}")).await,
            fine("{}", &marks("failed"))
        );
        // Not sent, so that no key is needed.
        assert_eq!(
            see(&mut client, order(&nowhere(), None, "{}")).await,
            fine("{}", &marks("unreachable"))
        );
        assert_eq!(
            see(&mut client, order(&server.uri("/fails"), None, "{}"))
                .await
                .0,
            502
        );
    }
    assert_eq!(hits.count(), 4);
}
