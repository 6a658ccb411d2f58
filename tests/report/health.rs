//! Health paths of a router.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Path},
    routing::get,
};
use brownout::{
    Criticality, Registry,
    registry::{Report, ReporterKind},
    report::{HealthLayer, Lifecycle},
};
use brownout_tests::{Server, client};
use http::Method;
use tower::{ServiceBuilder, limit::ConcurrencyLimitLayer, service_fn};

fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "home" }))
        .route("/orders/{id}", get(async |Path(id): Path<String>| id))
}

#[tokio::test]
async fn a_router_answers_its_health_paths_and_all_others_as_before() {
    let registry = Registry::new();
    let ledger = registry
        .dependency("ledger")
        .criticality(Criticality::Critical);
    let ledger = ledger.register().unwrap();
    let process = Lifecycle::new();
    let server = Server::axum(app().layer(HealthLayer::new(&registry).process(&process))).await;
    for mut client in [client::http1(), client::http2()] {
        let mut ask = async |method: Method, path: &str| {
            client::read(&mut client, client::request(method, &server.uri(path))).await
        };
        for path in ["/livez", "/health"] {
            let answer = ask(Method::GET, path).await;
            assert_eq!(
                (answer.status().as_u16(), &answer.body()[..]),
                (200, &br#"{"status":"pass"}"#[..])
            );
            assert_eq!(answer.headers()["content-type"], "application/health+json");
            assert_eq!(answer.headers()["cache-control"], "no-store");
            let head = ask(Method::HEAD, path).await;
            assert_eq!((head.status().as_u16(), &head.body()[..]), (200, &b""[..]));
            assert_eq!(head.headers()["content-length"], "17");
        }
        let refused = ask(Method::POST, "/livez").await;
        assert_eq!(refused.status(), 405);
        assert_eq!(refused.headers()["allow"], "GET, HEAD");
        assert_eq!(ask(Method::GET, "/readyz").await.status(), 503);
        assert_eq!(ask(Method::GET, "/").await.body(), "home");
        assert_eq!(ask(Method::GET, "/orders/livez").await.body(), "livez");
        assert_eq!(ask(Method::GET, "/livez/").await.status(), 404);
    }
    process.started();
    let reporter = ledger.reporter(ReporterKind::Code, "test");
    reporter.report(Report::unhealthy("gone"));
    let mut client = client::http1();
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/startupz", 200),
        ("/health", 503),
    ] {
        let answer = client::read(&mut client, client::get(&server.uri(path))).await;
        assert_eq!(answer.status(), status, "{path}");
    }
}

#[tokio::test]
async fn details_are_for_peers_that_the_server_knows_by_their_address() {
    let registry = Registry::new();
    let _ledger = registry.dependency("ledger").register().unwrap();
    let layer = HealthLayer::new(&registry).authorise(|head| {
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
        peer.is_some_and(|ConnectInfo(peer)| peer.ip().is_loopback())
    });
    let app = app().layer(layer);
    let stranger = Server::axum(app.clone()).await;
    let known = Server::listening(async |listener| {
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).await.unwrap();
    })
    .await;
    let mut client = client::http1();
    let answer = client::read(&mut client, client::get(&stranger.uri("/health"))).await;
    assert_eq!(answer.body(), r#"{"status":"pass"}"#);
    let answer = client::read(&mut client, client::get(&known.uri("/health"))).await;
    let document: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(document["checks"]["ledger"][0]["state"], "healthy");
    let answer = client::read(&mut client, client::get(&known.uri("/health?verbose"))).await;
    assert_eq!(answer.body(), "[+]ledger ok\nhealth check passed\n");
}

#[tokio::test]
async fn a_server_whose_every_place_is_taken_is_alive() {
    let stack = ServiceBuilder::new()
        .layer(HealthLayer::new(&Registry::new()))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(service_fn(
            |request: http::Request<hyper::body::Incoming>| async move {
                if request.uri().path() == "/slow" {
                    std::future::pending::<()>().await;
                }
                Ok::<_, Infallible>(http::Response::new(brownout_tests::server::full("done")))
            },
        ));
    let server = Server::hyper(stack).await;
    let slow = tokio::spawn({
        let request = client::get(&server.uri("/slow"));
        async move { client::call(&mut client::http1(), request).await }
    });
    let mut client = client::http1();
    // Until the slow one has taken the only place.
    let waiting = async |client: &mut client::HyperClient| {
        let call = client::read(client, client::get(&server.uri("/")));
        tokio::time::timeout(Duration::from_millis(100), call)
            .await
            .is_err()
    };
    while !waiting(&mut client).await {}
    let answer = client::read(&mut client, client::get(&server.uri("/livez"))).await;
    assert_eq!(answer.status(), 200);
    slow.abort();
    let _ = slow.await;
    let answer = client::read(&mut client, client::get(&server.uri("/"))).await;
    assert_eq!(answer.body(), "done");
}
