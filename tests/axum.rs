//! Breakers on axum: as it is documented, `Router::layer` and nothing else.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{convert::Infallible, sync::Arc, time::Duration};

use ::axum::{
    Router,
    body::Body,
    extract::Path,
    middleware::map_response,
    response::Response,
    routing::{MethodRouter, get},
};
use brownout::{
    Registry,
    breaker::{Circuit, CircuitBreakerLayer},
    core::{RejectReason, Rejected},
    registry::{CircuitState, DegradationLevel},
};
use brownout_tests::{
    Server,
    circuit::{TRIPS_AT, brief, circuit, lasting, probe_due, trip, until},
    client::{self, HyperClient},
    server::Hits,
};
use futures_util::{StreamExt, stream};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tower::{Service, ServiceBuilder, service_fn};

/// Answers with the status that the path names.
fn statuses(hits: &Hits) -> MethodRouter {
    let hits = hits.clone();
    get(move |Path(code): Path<u16>| {
        hits.hit();
        async move { (StatusCode::from_u16(code).unwrap(), "") }
    })
}

async fn status(client: &mut HyperClient, uri: &str) -> StatusCode {
    client::read(client, client::get(uri)).await.status()
}

#[tokio::test]
async fn one_layer_on_a_router_is_one_circuit_for_all_routes_connections_and_http_versions() {
    let hits = Hits::default();
    let circuit = circuit("backend", lasting());
    let app = Router::new()
        .route(
            "/fails",
            get(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .route("/works", {
            let hits = hits.clone();
            get(async move || hits.hit())
        })
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http());
    let server = Server::axum(app).await;

    for mut client in [client::http1(), client::http2(), client::http1()] {
        assert_eq!(status(&mut client, &server.uri("/fails")).await, 500);
    }
    assert_eq!(server.connections(), 3);
    assert_eq!(circuit.state(), CircuitState::Open);
    for mut client in [client::http1(), client::http2()] {
        assert_eq!(status(&mut client, &server.uri("/works")).await, 503);
    }
    assert_eq!(hits.count(), 0, "a refused request reaches no handler");
}

#[tokio::test]
async fn the_same_layer_goes_on_a_router_a_method_router_and_a_nested_router() {
    let circuit = circuit("backend", lasting());
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_http();
    let hits = Hits::default();
    let app = Router::new()
        .route("/method/{code}", statuses(&hits).layer(layer.clone()))
        .nest(
            "/nested",
            Router::new()
                .route("/{code}", statuses(&hits))
                .route_layer(layer.clone()),
        )
        .merge(
            Router::new()
                .route("/merged/{code}", statuses(&hits))
                .layer(layer),
        );
    let server = Server::axum(app).await;
    let mut client = client::http1();

    for path in ["/method/500", "/nested/500", "/merged/500"] {
        assert_eq!(status(&mut client, &server.uri(path)).await, 500);
    }
    for path in ["/method/200", "/nested/200", "/merged/200"] {
        assert_eq!(status(&mut client, &server.uri(path)).await, 503);
    }
    assert_eq!((hits.count(), circuit.stats().totals.rejected), (3, 3));
}

#[tokio::test]
async fn the_error_type_of_a_service_stays_infallible() {
    fn infallible<S, Req>(service: S) -> S
    where
        S: Service<Req, Error = Infallible>,
    {
        service
    }

    let circuit = circuit("backend", lasting());
    let stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(service_fn(|_: http::Request<_>| async {
            Ok::<_, Infallible>(http::Response::new(brownout_tests::server::full("hello")))
        }));
    let server = Server::hyper(infallible(stack)).await;

    for mut client in [client::http1(), client::http2()] {
        let answer = client::read(&mut client, client::get(&server.uri("/"))).await;
        assert_eq!(answer.body(), "hello");
    }
    until("both were judged", || circuit.stats().totals.successes == 2).await;
}

#[tokio::test]
async fn a_refusal_is_a_problem_document_that_tells_strangers_the_public_name_alone() {
    let registry = Registry::new();
    let dependency = registry
        .dependency("inventory-db-7.internal")
        .public_name("inventory")
        .register()
        .unwrap();
    let circuit = Circuit::builder(&dependency)
        .policy(lasting().build().unwrap())
        .build();
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http());
    let server = Server::axum(app).await;
    trip(&circuit);

    for mut client in [client::http1(), client::http2()] {
        let refusal = client::read(&mut client, client::get(&server.uri("/"))).await;
        assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
        let header = |name| refusal.headers()[name].to_str().unwrap();
        assert_eq!(header(header::CONTENT_TYPE), "application/problem+json");
        assert_eq!(header(header::CACHE_CONTROL), "no-store");
        assert_eq!(
            header(header::CONTENT_LENGTH),
            refusal.body().len().to_string()
        );
        // A minute, with up to a fifth on top so that callers do not come back together.
        let retry_after: u64 = header(header::RETRY_AFTER).parse().unwrap();
        assert!((59..=73).contains(&retry_after), "{retry_after}");
        let problem: serde_json::Value = serde_json::from_slice(refusal.body()).unwrap();
        assert_eq!(problem["type"], "urn:brownout:circuit-open");
        assert_eq!(problem["status"], 503);
        assert_eq!(problem["dependency"], "inventory");
        let everything = format!("{refusal:?}");
        assert!(!everything.contains("db-7"), "{everything}");
    }
}

#[tokio::test]
async fn a_dependency_without_a_public_name_stays_unnamed() {
    let circuit = circuit("inventory-db-7.internal", lasting());
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http());
    let server = Server::axum(app).await;
    trip(&circuit);

    let refusal = client::read(&mut client::http1(), client::get(&server.uri("/"))).await;
    let problem: serde_json::Value = serde_json::from_slice(refusal.body()).unwrap();
    assert_eq!(problem.get("dependency"), None);
    let everything = format!("{refusal:?}");
    assert!(!everything.contains("inventory"), "{everything}");
}

#[tokio::test]
async fn a_layer_further_out_finds_the_refusal_in_the_extensions() {
    let circuit = circuit("backend", lasting());
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .layer(map_response(async |mut response: Response| {
            if let Some(rejected) = response.extensions().get::<Rejected>() {
                assert_eq!(rejected.dependency(), "backend");
                assert_eq!(rejected.reason(), RejectReason::CircuitOpen);
                *response.status_mut() = StatusCode::IM_A_TEAPOT;
            }
            response
        }));
    let server = Server::axum(app).await;
    let mut client = client::http1();

    assert_eq!(status(&mut client, &server.uri("/")).await, 200);
    trip(&circuit);
    assert_eq!(
        status(&mut client, &server.uri("/")).await,
        StatusCode::IM_A_TEAPOT
    );
}

#[tokio::test]
async fn a_refusal_by_an_inner_breaker_is_neutral_to_the_outer_one() {
    let (outer, inner) = (circuit("outer", lasting()), circuit("inner", lasting()));
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(CircuitBreakerLayer::with(inner.clone()).for_http())
        .layer(CircuitBreakerLayer::with(outer.clone()).for_http());
    let server = Server::axum(app).await;
    let mut client = client::http1();
    trip(&inner);

    for _ in 0..2 * TRIPS_AT {
        assert_eq!(status(&mut client, &server.uri("/")).await, 503);
    }
    until("all were judged", || {
        outer.stats().totals.neutral == u64::from(2 * TRIPS_AT)
    })
    .await;
    assert_eq!(outer.state(), CircuitState::Closed);
    assert_eq!(outer.stats().totals.failures, 0);
}

#[tokio::test]
async fn answers_that_have_no_body_are_judged() {
    let hits = Hits::default();
    let circuit = circuit("backend", lasting());
    let app = Router::new()
        .route("/{code}", statuses(&hits))
        .route("/text", get(async || "hello"))
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http());
    let server = Server::axum(app).await;

    let mut judged = 0;
    for mut client in [client::http1(), client::http2()] {
        for (method, path) in [
            (Method::HEAD, "/text"),
            (Method::HEAD, "/200"),
            (Method::GET, "/204"),
            (Method::GET, "/304"),
            // `content-length: 0`
            (Method::GET, "/200"),
        ] {
            client::read(
                &mut client,
                client::request(method.clone(), &server.uri(path)),
            )
            .await;
            judged += 1;
            until(&format!("{method} {path} was judged"), || {
                circuit.stats().totals.successes == judged
            })
            .await;
        }
    }
    assert_eq!(circuit.stats().totals.abandoned, 0);
}

#[tokio::test]
async fn a_body_that_fails_half_way_is_a_failure_on_the_server_and_at_its_client() {
    let (behind, ahead) = (circuit("behind", lasting()), circuit("ahead", lasting()));
    // Else hyper may find the error before it has sent the head.
    let head_seen = Arc::new(Notify::new());
    let seen = Arc::clone(&head_seen);
    let app = Router::new()
        .route(
            "/",
            get(async move || {
                let gone = async move {
                    seen.notified().await;
                    Err("the disk is gone")
                };
                Body::from_stream(stream::iter([Ok("only so much")]).chain(stream::once(gone)))
            }),
        )
        .layer(CircuitBreakerLayer::with(behind.clone()).for_http());
    let server = Server::axum(app).await;

    let failures = |circuit: &Circuit| circuit.stats().totals.failures;
    for (calls, client) in (1..).zip([client::http1(), client::http2()]) {
        let mut client = ServiceBuilder::new()
            .layer(CircuitBreakerLayer::with(ahead.clone()).for_http())
            .service(client);
        let answer = client::call(&mut client, client::get(&server.uri("/"))).await;
        assert_eq!(answer.status(), StatusCode::OK);
        head_seen.notify_one();
        answer.into_body().collect().await.unwrap_err();
        assert_eq!(failures(&ahead), calls);
        until("the server has judged too", || failures(&behind) == calls).await;
    }
}

#[tokio::test]
async fn a_circuit_on_a_live_server_recovers_by_itself() {
    let registry = Registry::builder().dwell(Duration::ZERO).build().unwrap();
    let dependency = registry.dependency("backend").register().unwrap();
    let circuit = Circuit::builder(&dependency)
        .policy(brief().build().unwrap())
        .build();
    let hits = Hits::default();
    let app = Router::new()
        .route("/{code}", statuses(&hits))
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http());
    let server = Server::axum(app).await;
    let mut client = client::http1();

    for _ in 0..TRIPS_AT {
        assert_eq!(status(&mut client, &server.uri("/500")).await, 500);
    }
    assert_eq!(registry.level(), DegradationLevel::Reduced);
    probe_due(&circuit).await;
    assert_eq!(status(&mut client, &server.uri("/200")).await, 200);
    until("the probe was judged", || {
        circuit.state() == CircuitState::Closed
    })
    .await;
    assert_eq!(registry.level(), DegradationLevel::Full);
}
