//! What real clients meet at real servers, and what is said of those by it.

use axum::{Router, routing::get};
use brownout::{
    Dependency, Registry,
    registry::{ReporterKind, Status},
    report::{ReportLayer, Traffic},
};
use brownout_tests::{
    Server,
    circuit::until,
    client,
    grpc::{Ask, Meter, MeterClient},
};
use http::StatusCode;
use http_body_util::BodyExt;
use tonic::{
    Code,
    transport::{Endpoint, Server as TonicServer, server::TcpIncoming},
};
use tower::{Layer, Service};

/// A dependency of which four calls say something.
fn upstream() -> (Dependency, Traffic) {
    let upstream = Registry::new().dependency("upstream").register().unwrap();
    let traffic = Traffic::builder(&upstream).min_calls(4).build().unwrap();
    (upstream, traffic)
}

fn counted(traffic: &Traffic) -> (u64, u64) {
    let stats = traffic.stats();
    (stats.calls, stats.failures)
}

#[tokio::test]
async fn an_http_client_reports_what_becomes_of_its_calls_down_to_their_bodies() {
    let app = Router::new()
        .route("/", get(|| async { "whole" }))
        .route("/bad", get(|| async { StatusCode::BAD_GATEWAY }));
    let server = Server::axum(app).await;
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\nhalf";
    let broken = Server::saying(half).await;
    let (upstream, traffic) = upstream();
    let layer = ReportLayer::with(traffic.clone()).for_http();
    let mut client = layer.layer(client::http1());
    for _ in 0..3 {
        client::read(&mut client, client::get(&server.uri("/"))).await;
    }
    // It lives, and the request was wrong.
    client::read(&mut client, client::get(&server.uri("/missing"))).await;
    assert_eq!(counted(&traffic), (3, 0));
    // A body that nobody reads is judged by its head.
    drop(client::call(&mut client, client::get(&server.uri("/"))).await);
    assert_eq!(counted(&traffic), (4, 0));

    let answer = client::call(&mut client, client::get(&broken.uri("/"))).await;
    assert_eq!(counted(&traffic), (4, 0), "its head is well");
    assert!(answer.into_body().collect().await.is_err());
    assert_eq!(counted(&traffic), (5, 1));
    assert_eq!(upstream.status(), Status::Degraded);
    for _ in 0..3 {
        client::read(&mut client, client::get(&server.uri("/bad"))).await;
    }
    assert_eq!(
        (counted(&traffic), upstream.status()),
        ((8, 4), Status::Unhealthy)
    );
    // Nobody is refused by it.
    let answer = client::read(&mut client, client::get(&server.uri("/"))).await;
    assert_eq!(answer.body(), "whole");
    let picture = upstream.registry().snapshot();
    let report = &picture.dependencies[0].reports[0];
    assert_eq!(report.kind, ReporterKind::Traffic);
    assert_eq!(report.message.as_deref(), Some("calls fail"));
}

#[tokio::test]
async fn a_server_that_is_gone_is_reported_by_those_who_call_it() {
    let server = Server::saying(b"").await;
    let (upstream, traffic) = upstream();
    let layer = ReportLayer::with(traffic).for_http();
    let mut client = layer.layer(client::http1());
    for _ in 0..4 {
        let call = client.call(client::get(&server.uri("/")));
        assert!(call.await.is_err());
    }
    assert_eq!(upstream.status(), Status::Unhealthy);
}

#[tokio::test]
async fn a_channel_reports_calls_by_their_status_and_streams_by_their_trailers() {
    let server = Server::listening(|listener| async {
        let server = TonicServer::builder().add_service(Meter::default());
        let incoming = TcpIncoming::from(listener);
        server.serve_with_incoming(incoming).await.unwrap();
    })
    .await;
    let (upstream, traffic) = upstream();
    let channel = Endpoint::from_shared(server.uri(""))
        .unwrap()
        .connect_lazy();
    let layer = ReportLayer::with(traffic.clone()).for_grpc();
    let mut client = MeterClient::new(layer.layer(channel));
    client.read(Ask::default()).await.unwrap();
    // The caller's own errors are good answers; who gives up has none.
    client.read(Ask::status(Code::NotFound)).await.unwrap_err();
    client.read(Ask::status(Code::Cancelled)).await.unwrap_err();
    assert_eq!(counted(&traffic), (2, 0));
    client
        .read(Ask::status(Code::Unavailable))
        .await
        .unwrap_err();
    assert_eq!(counted(&traffic), (3, 1));

    let ask = Ask::ticks(1).then(Code::Internal);
    let mut stream = client.watch(ask).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    assert_eq!(counted(&traffic), (3, 1));
    stream.message().await.unwrap_err();
    assert_eq!(
        (counted(&traffic), upstream.status()),
        ((4, 2), Status::Unhealthy)
    );
    let mut stream = client.watch(Ask::ticks(1).then_nothing()).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    drop(stream);
    until("the dropped stream is gone", || counted(&traffic) == (4, 2)).await;
}
