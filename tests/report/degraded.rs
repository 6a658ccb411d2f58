//! Degraded answers of real servers, whose handlers call real clients.

use axum::{Router, extract::State, routing::get};
use brownout::{
    Registry,
    core::{DegradeReason, Degraded},
    fallback::FallbackLayer,
    flag::{FlagLayer, Flags},
    registry::FeatureState,
    report::{AdoptDegradedLayer, DegradedLayer, carry, note},
};
use brownout_tests::{
    Server, client,
    grpc::{Ask, Meter, Tick},
};
use http::{HeaderValue, Response, uri::PathAndQuery};
use http_body_util::BodyExt;
use tonic::{
    Request,
    body::Body,
    service::Routes,
    transport::{Endpoint, Server as TonicServer, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::{Layer, ServiceBuilder, ServiceExt, layer::layer_fn};

fn mark(name: &str) -> Degraded {
    let mut mark = Degraded::new(DegradeReason::Failed);
    mark.dependency = Some(name.into());
    mark
}

/// A router that says what is missing, and asks another server through a chain.
async fn page(State((chain, uri)): State<(Chain, String)>) -> &'static str {
    chain.oneshot(client::get(&uri)).await.unwrap();
    tokio::spawn(carry(async { note(&mark("in-a-task")) }))
        .await
        .unwrap();
    "page"
}

type Chain = tower::util::BoxCloneSyncService<
    http::Request<http_body_util::Empty<bytes::Bytes>>,
    Response<()>,
    hyper_util::client::legacy::Error,
>;

fn app(chain: Chain, uri: String) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/whole", get(|| async { "whole" }))
        .with_state((chain, uri))
        .layer(DegradedLayer::new())
}

#[tokio::test]
async fn what_a_client_deep_in_a_handler_lacks_stands_beside_the_servers_answer() {
    let broken =
        Server::axum(Router::new().fallback(|| async { http::StatusCode::BAD_GATEWAY })).await;
    let registry = Registry::new();
    let recs = registry
        .dependency("recs-db")
        .public_name("recommendations");
    let recs = recs.register().unwrap();
    let chain = ServiceBuilder::new()
        .map_response(|answer: Response<_>| answer.map(drop))
        .layer(
            FallbackLayer::for_http()
                .covering(&recs)
                .last("popular", |_| async {
                    Response::new(brownout_tests::server::full("popular"))
                })
                .unwrap(),
        )
        .map_response(|answer: Response<hyper::body::Incoming>| {
            answer.map(|_| brownout_tests::server::full("upstream"))
        })
        .service(client::http1());
    let chain = Chain::new(chain.map_err(|never: std::convert::Infallible| match never {}));
    let server = Server::axum(app(chain, broken.uri("/"))).await;
    for mut client in [client::http1(), client::http2()] {
        let mut request = client::get(&server.uri("/"));
        let forged = HeaderValue::from_static("forged");
        request.headers_mut().insert("degraded", forged);
        let answer = client::read(&mut client, request).await;
        assert_eq!(
            answer.headers()["degraded"],
            "recommendations;tier=popular;reason=failed, in-a-task;reason=failed"
        );
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let whole = client::read(&mut client, client::get(&server.uri("/whole"))).await;
        assert!(!whole.headers().contains_key("degraded"));
        assert!(!whole.headers().contains_key("cache-control"));
    }
}

#[tokio::test]
async fn a_degraded_answer_of_an_upstream_is_passed_on_where_it_is_trusted() {
    let flag = Flags::new(&Registry::new())
        .builder("prices")
        .public_name("live-prices");
    let flag = flag.build().unwrap();
    flag.configure(FeatureState::Degraded);
    let simple = tower::service_fn(async |_: axum::extract::Request| {
        Ok::<_, std::convert::Infallible>(Response::new(axum::body::Body::from("yesterday's")))
    });
    let upstream = Router::new()
        .route("/", get(|| async { "live" }))
        .layer(FlagLayer::for_http(flag).degraded(simple))
        .layer(DegradedLayer::new());
    let upstream = Server::axum(upstream).await;
    let trusting = AdoptDegradedLayer::new().layer(client::http1());
    let told = "live-prices;tier=degraded;reason=flag-degraded, in-a-task;reason=failed";
    for (chain, header) in [
        (
            Chain::new(trusting.map_response(|answer| answer.map(drop))),
            told,
        ),
        (
            Chain::new(client::http1().map_response(|answer| answer.map(drop))),
            "in-a-task;reason=failed",
        ),
    ] {
        let server = Server::axum(app(chain, upstream.uri("/"))).await;
        let answer = client::read(&mut client::http1(), client::get(&server.uri("/"))).await;
        assert_eq!(answer.headers()["degraded"], header);
    }
}

#[tokio::test]
async fn a_stream_says_early_in_metadata_and_late_in_trailers_what_it_lacks() {
    let noting = layer_fn(|routes: Routes| {
        routes
            .map_request(|request| {
                note(&mark("early"));
                request
            })
            .map_response(|answer: Response<Body>| {
                answer.map(|body| {
                    Body::new(body.map_frame(|frame| {
                        note(&mark("late"));
                        frame
                    }))
                })
            })
    });
    let layer = ServiceBuilder::new()
        .layer(DegradedLayer::new())
        .layer(noting);
    let server = Server::listening(|listener| async {
        let server = TonicServer::builder()
            .layer(layer)
            .add_service(Meter::default());
        let incoming = TcpIncoming::from(listener);
        server.serve_with_incoming(incoming).await.unwrap();
    })
    .await;
    let channel = Endpoint::from_shared(server.uri(""))
        .unwrap()
        .connect_lazy();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/meter.Meter/Watch");
    let codec = ProstCodec::<Ask, Tick>::default();
    let answer = grpc
        .server_streaming(Request::new(Ask::ticks(2)), path, codec)
        .await
        .unwrap();
    assert_eq!(
        answer.metadata().get("degraded").unwrap(),
        "early;reason=failed"
    );
    assert!(answer.metadata().get("cache-control").is_none());
    let mut ticks = answer.into_inner();
    while ticks.message().await.unwrap().is_some() {}
    let trailers = ticks.trailers().await.unwrap().unwrap();
    assert_eq!(trailers.get("degraded").unwrap(), "late;reason=failed");
}
