//! Feature flags on real servers and in front of real clients, alone and between the other layers.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{convert::Infallible, time::Duration};

use ::axum::{
    Router,
    body::Body,
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::get,
};
use ::tonic::{
    Code,
    transport::{Endpoint, server::TcpIncoming},
};
use brownout::{
    Registry,
    breaker::CircuitBreakerLayer,
    core::Marks,
    fallback::FallbackLayer,
    flag::{Flag, FlagLayer, Flags},
    http::{ReplayBody, ReplayLayer},
    registry::{
        FeatureState::{Degraded, Disabled, Enabled},
        Order,
    },
};
use brownout_tests::{
    Server, client,
    grpc::{Ask, Meter, MeterClient, asked, tick},
    server::Hits,
};
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use tower::{Layer, ServiceBuilder, service_fn};

fn flag_in(registry: &Registry) -> Flag {
    let builder = Flags::new(registry).builder("ml_recs");
    builder.public_name("recommendations").build().unwrap()
}

#[tokio::test]
async fn a_flag_on_a_router_is_one_for_all_routes_connections_and_http_versions() {
    let registry = Registry::new();
    let flag = flag_in(&registry);
    let hits = Hits::default();
    let bestsellers = service_fn(|_: axum::extract::Request| async {
        Ok::<_, Infallible>(Response::new(Body::from("bestsellers")))
    });
    let app = Router::new()
        .route("/fails", get(|| async { StatusCode::BAD_GATEWAY }))
        .route("/works", {
            let hits = hits.clone();
            get(async move || hits.hit())
        })
        .layer(FlagLayer::for_http(flag.clone()).degraded(bestsellers));
    let server = Server::axum(app).await;

    for mut client in [
        client::http1(),
        client::http2(),
        client::http1(),
        client::http2(),
        client::http1(),
    ] {
        let answer = client::read(&mut client, client::get(&server.uri("/fails"))).await;
        assert_eq!(answer.status(), 502);
    }
    assert_eq!(flag.state(), Degraded);
    let mut client = client::http2();
    let answer = client::read(&mut client, client::get(&server.uri("/works"))).await;
    assert_eq!(answer.body(), "bestsellers");
    assert_eq!(hits.count(), 0);

    // An operator switches it off for everybody, and on again.
    let order = |reason| Order::new("kim", reason, Duration::from_mins(1));
    registry
        .override_flag("ml_recs", Disabled, order("the model is being replaced"))
        .unwrap();
    let answer = client::read(&mut client, client::get(&server.uri("/works"))).await;
    assert_eq!(answer.status(), 503);
    let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(problem["type"], "urn:brownout:flag-disabled");
    assert_eq!(problem["dependency"], "recommendations");
    registry
        .override_flag("ml_recs", Enabled, order("replaced"))
        .unwrap();
    let answer = client::read(&mut client, client::get(&server.uri("/works"))).await;
    assert_eq!((answer.status(), hits.count()), (StatusCode::OK, 1));
}

#[tokio::test]
async fn a_client_whose_bodies_nobody_can_make_has_another_client_to_stand_in() {
    let broken = Server::axum(Router::new().fallback(|| async { StatusCode::BAD_GATEWAY })).await;
    let simple = Server::axum(Router::new().fallback(|| async { "simple" })).await;
    let flag = flag_in(&Registry::new());
    let simpler = {
        let simple = simple.uri("/");
        ServiceBuilder::new()
            .map_request(move |mut request: http::Request<_>| {
                *request.uri_mut() = simple.parse().unwrap();
                request
            })
            .service(client::http1())
    };
    let mut service = FlagLayer::for_http(flag.clone())
        .degraded(simpler)
        .layer(client::http1());
    for _ in 0..5 {
        let answer = client::read(&mut service, client::get(&broken.uri("/"))).await;
        assert_eq!(answer.status(), 502);
    }
    let answer = client::read(&mut service, client::get(&broken.uri("/"))).await;
    assert_eq!(answer.body(), "simple");
    assert_eq!(broken.connections(), 1);
}

#[tokio::test]
async fn between_a_fallback_and_a_breaker_each_layer_knows_why_the_one_below_refused() {
    let registry = Registry::new();
    let recs = registry.dependency("recs").register().unwrap();
    let flag = flag_in(&registry);
    let app = Router::new()
        .route("/", get(|| async { StatusCode::BAD_GATEWAY }))
        .layer(CircuitBreakerLayer::new(&recs).for_http())
        .layer(FlagLayer::for_http(flag.clone()))
        .layer(
            FallbackLayer::for_http()
                .covering(&recs)
                .last("popular", |_| async { "popular".into_response() })
                .unwrap(),
        )
        .layer(map_response(show_reason));
    let server = Server::axum(app).await;
    let mut client = client::http1();
    let mut reason = async || {
        let answer = client::read(&mut client, client::get(&server.uri("/"))).await;
        assert_eq!(answer.body(), "popular");
        answer.headers()["x-reason"].to_str().unwrap().to_owned()
    };
    for _ in 0..5 {
        assert_eq!(reason().await, "failed");
    }
    assert_eq!(reason().await, "flag-degraded");
    let order = Order::new("kim", "looking closer", Duration::from_mins(1));
    registry.override_flag("ml_recs", Enabled, order).unwrap();
    // The circuit's refusals pass through the flag and count for nothing there.
    let failures = flag.stats().totals.failures;
    for _ in 0..10 {
        assert_eq!(reason().await, "circuit-open");
    }
    assert_eq!(flag.stats().totals.failures, failures);
}

/// Why the answer is degraded, in a header: a caller at the other end of a connection sees no extensions.
async fn show_reason(mut response: Response) -> Response {
    let marks = response.extensions().get::<Marks>().cloned();
    let reason = marks.and_then(|marks| Some(marks.iter().next()?.reason.as_str()));
    let reason = HeaderValue::from_static(reason.unwrap_or_default());
    response.headers_mut().insert("x-reason", reason);
    response
}

#[tokio::test]
async fn a_channel_behind_a_flag_is_a_channel() {
    let meter = Meter::default();
    let server = {
        let service = meter.clone();
        Server::listening(|listener| async {
            let server = tonic::transport::Server::builder().add_service(service);
            server
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
                .unwrap();
        })
        .await
    };
    let flag = flag_in(&Registry::new());
    let channel = Endpoint::from_shared(server.uri(""))
        .unwrap()
        .connect_lazy();
    let mut client = MeterClient::new(FlagLayer::for_grpc(flag.clone()).layer(channel));
    assert!(client.read(Ask::ticks(1)).await.is_ok());
    for _ in 0..5 {
        let status = client.read(Ask::status(Code::Internal)).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
    }
    assert_eq!(flag.state(), Degraded);
    let status = client.read(Ask::ticks(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "Feature degraded (recommendations)");
}

#[tokio::test]
async fn calls_that_a_channel_fails_fall_through_to_a_mirror_which_gets_the_same_message() {
    let meter = Meter::default();
    let full = {
        let service = meter.clone();
        Server::listening(|listener| async {
            let server = tonic::transport::Server::builder().add_service(service);
            server
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
                .unwrap();
        })
        .await
    };
    let mirrored = Hits::default();
    let counted = mirrored.clone();
    let mirror = Server::hyper(service_fn(move |request: http::Request<Incoming>| {
        counted.hit();
        async { Ok::<_, Infallible>(tick(asked(request).await.ticks)) }
    }))
    .await;
    let channel = |server: &Server| {
        let endpoint = Endpoint::from_shared(server.uri("")).unwrap();
        ServiceBuilder::new()
            .map_request(|request: http::Request<ReplayBody<_>>| {
                request.map(tonic::body::Body::new)
            })
            .service(endpoint.connect_lazy())
    };
    let flag = flag_in(&Registry::new());
    let layer = FlagLayer::for_grpc(flag.clone()).degraded(channel(&mirror));
    let mut client = MeterClient::new(
        ServiceBuilder::new()
            .layer(ReplayLayer::new().of_unknown_size())
            .layer(layer.fall_through().safe())
            .service(channel(&full)),
    );
    let mut read = async |ask| client.read(ask).await.map(|tick| tick.number);
    assert_eq!(read(Ask::ticks(7)).await.unwrap(), 1);
    let missing = read(Ask::status(Code::NotFound)).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    for n in 1..=5 {
        assert_eq!(flag.state(), Enabled);
        assert_eq!(
            read(Ask::ticks(6 + n).then(Code::Internal)).await.unwrap(),
            6 + n
        );
        assert_eq!(flag.stats().totals.failures, u64::from(n));
    }
    // Five are enough: from now on the mirror is asked alone.
    assert_eq!(flag.state(), Degraded);
    assert_eq!(read(Ask::ticks(20)).await.unwrap(), 20);
    assert_eq!((meter.hits.count(), mirrored.count()), (7, 6));
}
