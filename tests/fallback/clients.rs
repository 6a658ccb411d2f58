//! Chains around clients, whose answers have bodies that nobody else can make.

use std::time::Duration;

use ::axum::{Router, http::StatusCode, routing::any};
use brownout::{
    breaker::CircuitBreakerLayer,
    core::BoxError,
    fallback::{FallbackLayer, Tier},
    registry::CircuitState,
};
use brownout_tests::{
    Server,
    circuit::{TRIPS_AT, circuit, lasting},
    client,
    server::Hits,
};
use http::{Method, Request, Response};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::{
    common::{fine, nowhere, recommendations, see},
    mirror::{at, mirror},
};

const LONG: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_client_whose_bodies_nobody_can_make_has_a_chain_of_clients() {
    let hits = Hits::default();
    let mirror = mirror(&hits).await;
    let at_mirror = at(&mirror, client::http1());
    let layer = FallbackLayer::for_http()
        .causes_from_sources()
        .tier(Tier::new("mirror", at_mirror).timeout(LONG))
        .build()
        .unwrap();
    let mut client = layer.layer(client::http1());
    // Not even a connection was made, so a write may go to the mirror.
    for (made, method) in [Method::GET, Method::POST].into_iter().enumerate() {
        let answer = see(&mut client, client::request(method, &nowhere())).await;
        assert_eq!(
            answer,
            fine("mirror", "unnamed;tier=mirror;reason=unreachable")
        );
        assert_eq!(hits.count(), made + 1);
    }
}

#[tokio::test]
async fn an_error_in_a_box_shows_by_itself_that_nobody_listened() {
    let hits = Hits::default();
    let mirror = mirror(&hits).await;
    for client in [client::http1(), client::http2()] {
        let mut client = ServiceBuilder::new()
            .layer(
                FallbackLayer::for_http()
                    .tier(Tier::new("mirror", at(&mirror, client.clone())).timeout(LONG))
                    .exhausted_answers()
                    .build()
                    .unwrap(),
            )
            .map_err(BoxError::from)
            .service(client);
        let answer = see(&mut client, client::request(Method::POST, &nowhere())).await;
        assert_eq!(
            answer,
            fine("mirror", "unnamed;tier=mirror;reason=unreachable")
        );
    }
    assert_eq!(hits.count(), 2);
}

#[tokio::test]
async fn a_chain_over_a_breaker_asks_the_mirror_until_the_circuit_closes() {
    let (recs, circuit) = recommendations();
    let hits = Hits::default();
    let mirror = mirror(&hits).await;
    let primary = Server::axum(
        Router::new()
            .route("/broken", any(|| async { StatusCode::BAD_GATEWAY }))
            .fallback(|| async { "primary" }),
    )
    .await;
    let at_mirror = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(self::circuit("mirror", lasting())).for_http())
        .service(at(&mirror, client::http2()));
    let mut client = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_http()
                .covering(&recs)
                .tier(Tier::new("mirror", at_mirror))
                .build()
                .unwrap(),
        )
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(client::http1());
    let mut call = async |method, path| {
        let request = client::request(method, &primary.uri(path));
        see(&mut client, request).await
    };
    let marks = |reason| format!("recommendations;tier=mirror;reason={reason}");

    assert_eq!(call(Method::GET, "/").await, fine("primary", ""));
    for _ in 0..TRIPS_AT {
        assert_eq!(
            call(Method::GET, "/broken").await,
            fine("mirror", &marks("failed"))
        );
    }
    for method in [Method::GET, Method::POST] {
        assert_eq!(
            call(method, "/").await,
            fine("mirror", &marks("circuit-open"))
        );
    }
    assert_eq!(hits.count(), TRIPS_AT as usize + 2);
}

#[tokio::test]
async fn a_breaker_in_front_of_a_port_that_nobody_listens_on_opens_and_the_chain_goes_on_answering()
{
    let (recs, circuit) = recommendations();
    let hits = Hits::default();
    let mirror = mirror(&hits).await;
    let gone = nowhere();
    let mut client = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_http()
                .covering(&recs)
                .tier(Tier::new("mirror", at(&mirror, client::http1())).timeout(LONG))
                .exhausted_answers()
                .build()
                .unwrap(),
        )
        .map_err(BoxError::from)
        .layer(CircuitBreakerLayer::with(circuit).for_http())
        .service(client::http1());
    let mut reasons = Vec::new();
    for _ in 0..=TRIPS_AT {
        let (status, _, marks) = see(&mut client, client::request(Method::POST, &gone)).await;
        assert_eq!(status, 200);
        reasons.push(marks.rsplit('=').next().unwrap().to_owned());
    }
    assert_eq!(
        reasons,
        ["unreachable", "unreachable", "unreachable", "circuit-open"]
    );
}

/// reqwest's client as an HTTP service, as the README shows it.
fn reqwest_client() -> impl Service<
    Request<&'static str>,
    Response = Response<reqwest::Body>,
    Error = BoxError,
    Future: Send,
> + Clone {
    ServiceBuilder::new()
        .map_response(Response::<reqwest::Body>::from)
        .filter(reqwest::Request::try_from)
        .service(reqwest::Client::new())
}

#[tokio::test]
async fn reqwest_is_a_primary_and_a_tier() {
    let (recs, circuit) = recommendations();
    let hits = Hits::default();
    let mirror = mirror(&hits).await;
    let primary = Server::axum(
        Router::new()
            .route("/broken", any(|| async { StatusCode::BAD_GATEWAY }))
            .fallback(|| async { "primary" }),
    )
    .await;
    let at_mirror = mirror.uri("/");
    let at_mirror = reqwest_client().map_request(move |mut request: Request<_>| {
        *request.uri_mut() = at_mirror.parse().unwrap();
        request
    });
    let mut client = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_http()
                .cloning()
                .covering(&recs)
                .tier(Tier::new("mirror", at_mirror))
                .build()
                .unwrap(),
        )
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .map_response(Response::<reqwest::Body>::from)
        .filter(reqwest::Request::try_from)
        .service(reqwest::Client::new());
    let mut call = async |method: Method, uri: &str| {
        let request = Request::builder().method(method).uri(uri);
        see(&mut client, request.body("an order").unwrap()).await
    };
    let marks = |reason| format!("recommendations;tier=mirror;reason={reason}");

    assert_eq!(
        call(Method::POST, &primary.uri("/")).await,
        fine("primary", "")
    );
    assert_eq!(
        call(Method::GET, &primary.uri("/broken")).await,
        fine("mirror", &marks("failed"))
    );
    // It was made, and failed.
    assert_eq!(call(Method::POST, &primary.uri("/broken")).await.0, 502);
    // It was not made: nobody listens; it was refused.
    assert_eq!(
        call(Method::POST, &nowhere()).await,
        fine("mirror", &marks("unreachable"))
    );
    // Those were three failures.
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(
        call(Method::POST, &primary.uri("/")).await,
        fine("mirror", &marks("circuit-open"))
    );
    assert_eq!(hits.count(), 3);
}
