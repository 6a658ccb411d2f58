//! Chains on real servers: on axum as it is documented, over a breaker, and around clients.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{convert::Infallible, net::TcpListener, time::Duration};

use ::axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::get,
};
use brownout::{
    Registry,
    breaker::{Circuit, CircuitBreakerLayer},
    core::{Marks, Verdict},
    fallback::{Cause, Failed, FallbackLayer, Tier},
};
use brownout_tests::{
    Server,
    client::{self, HyperClient},
    server::Hits,
};
use http::{Method, StatusCode};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

/// What the marks of an answer say, in a header: a caller at the other end of a connection sees no extensions.
async fn show_marks(mut response: Response) -> Response {
    let marks = response
        .extensions()
        .get::<Marks>()
        .cloned()
        .unwrap_or_default();
    let marks: Vec<_> = marks.iter().map(ToString::to_string).collect();
    let shown = marks.join(",").parse().unwrap();
    response.headers_mut().insert("x-marks", shown);
    response
}

async fn call(client: &mut HyperClient, method: Method, uri: &str) -> (u16, String, String) {
    let response = client::read(client, client::request(method, uri)).await;
    let marks = response.headers()["x-marks"].to_str().unwrap().to_owned();
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), body, marks)
}

#[tokio::test]
async fn breaker_with_fallback_on_a_router_is_two_layers_and_no_handler_of_errors() {
    let hits = Hits::default();
    let registry = Registry::new();
    let recs = registry
        .dependency("recs-db")
        .public_name("recommendations")
        .register()
        .unwrap();
    let circuit = Circuit::new(&recs);
    let counted = hits.clone();
    let route = get(|| async { "for you" }).post(async move || {
        counted.hit();
        StatusCode::BAD_GATEWAY
    });
    let app = Router::new()
        .route("/", route)
        .route(
            "/broken",
            get(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .layer(
            FallbackLayer::for_http()
                .covering(&recs)
                .last("popular", |_| async { "popular".into_response() })
                .unwrap(),
        )
        .layer(map_response(show_marks));
    let server = Server::axum(app).await;
    for mut client in [client::http1(), client::http2()] {
        let mut see = async |method, path| call(&mut client, method, &server.uri(path)).await;
        assert_eq!(
            see(Method::GET, "/").await,
            (200, "for you".into(), String::new())
        );
        assert_eq!(see(Method::GET, "/missing").await.0, 404);
        let popular = |reason| {
            (
                200,
                "popular".to_owned(),
                format!("recommendations;tier=popular;reason={reason}"),
            )
        };
        assert_eq!(see(Method::GET, "/broken").await, popular("failed"));
        // The write was made, and failed: its failure is all there is.
        assert_eq!(
            see(Method::POST, "/").await,
            (502, String::new(), String::new())
        );
        let order = brownout::registry::Order::new("kim", "drill", Duration::from_mins(1));
        let held = recs
            .override_circuit(brownout::registry::CircuitMode::ForcedOpen, order)
            .unwrap();
        let made = hits.count();
        assert_eq!(see(Method::GET, "/").await, popular("circuit-forced-open"));
        // This one was refused, and so not made.
        assert_eq!(see(Method::POST, "/").await, popular("circuit-forced-open"));
        assert_eq!(hits.count(), made);
        registry.release(held).unwrap();
    }
}

#[tokio::test]
async fn a_client_whose_bodies_nobody_can_make_has_a_chain_of_clients() {
    let hits = Hits::default();
    let counted = hits.clone();
    let mirror = Server::axum(Router::new().fallback(async move || {
        counted.hit();
        "mirror"
    }))
    .await;
    // A port at which nobody listens.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let there = mirror.uri("/");
    let at_mirror = client::http1().map_request(move |mut request: http::Request<_>| {
        *request.uri_mut() = there.parse().unwrap();
        request
    });
    let layer = FallbackLayer::for_http()
        .causes(|error: &hyper_util::client::legacy::Error| {
            if error.is_connect() {
                Cause::connect("no connection")
            } else {
                Cause::describe(error)
            }
        })
        .tier(Tier::new("mirror", at_mirror).timeout(Duration::from_secs(5)))
        .build()
        .unwrap();
    let mut client = layer.layer(client::http1());
    // Not even a connection was made, so a write may go to the mirror.
    for (made, method) in [Method::GET, Method::POST].into_iter().enumerate() {
        let response = client::read(&mut client, client::request(method, &gone)).await;
        assert_eq!(response.body(), "mirror");
        assert_eq!(hits.count(), made + 1);
    }
}

#[tokio::test]
async fn a_write_whose_connection_broke_after_it_was_sent_is_not_sent_elsewhere() {
    let primary = service_fn(|_: Request| async {
        Err::<Response, std::io::Error>(std::io::ErrorKind::ConnectionReset.into())
    });
    let layer = FallbackLayer::for_http()
        .last("mirror", |_| async { "mirror".into_response() })
        .unwrap();
    let mut chain = layer.layer(primary);
    for (method, status) in [(Method::GET, 200), (Method::POST, 503)] {
        let request = http::Request::builder()
            .method(method)
            .body(Body::empty())
            .unwrap();
        let Ok::<_, Infallible>(response) = chain.ready().await.unwrap().call(request).await;
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn a_stack_of_layers_that_own_their_bodies_is_answered_with_bytes() {
    let registry = Registry::new();
    let users = registry.dependency("users").register().unwrap();
    let circuit = Circuit::new(&users);
    circuit.admit().unwrap().settle(Verdict::Trip {
        open_for: Duration::from_mins(1),
    });
    let service = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_http()
                .last("minimal", |f: Failed<http::Request<_>>| async move {
                    let body = format!("{{\"path\":\"{}\"}}", f.request.uri().path());
                    http::Response::new(body)
                })
                .unwrap(),
        )
        .layer(CircuitBreakerLayer::with(circuit).for_http())
        .service(service_fn(|_: Request| async {
            Ok::<_, Infallible>("all".into_response())
        }));
    let server = Server::axum(Router::new().fallback_service(service)).await;
    let response = client::read(&mut client::http1(), client::get(&server.uri("/users/7"))).await;
    assert_eq!(response.body(), r#"{"path":"/users/7"}"#);
}
