//! A circuit for each shard: one that is dead takes none of the others with it.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::time::Duration;

use brownout::{
    Registry,
    breaker::{CircuitBreakerLayer, KeyedCircuits},
    core::Rejected,
    registry::{CircuitState, DegradationLevel, Status},
};
use brownout_tests::{
    Server,
    circuit::{TRIPS_AT, brief, lasting, until},
    client,
    server::{FINE, Switch},
};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::Empty;
use tokio::time::Instant;
use tower::{Service, ServiceBuilder, ServiceExt};

async fn eight() -> Vec<(Server, Switch)> {
    join_all((0..8).map(|_| Server::switched(FINE))).await
}

fn host(request: &Request<Empty<Bytes>>) -> String {
    request
        .uri()
        .authority()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[tokio::test]
async fn one_dead_shard_of_eight_leaves_the_other_seven_alone() {
    let shards = eight().await;
    let dependency = Registry::new().dependency("shards").register().unwrap();
    let circuits = KeyedCircuits::with(&dependency, lasting().build().unwrap(), 100).unwrap();
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::keyed(circuits.clone(), host).for_http())
        .service(client::http1());
    for (shard, _) in &shards {
        let answer = client::read(&mut client, client::get(&shard.uri("/"))).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(circuits.len(), 8);

    shards[3].1.off();
    let (mut answered, mut failed, mut refused) = (0, 0, 0);
    for _ in 0..20 {
        for (index, (shard, _)) in shards.iter().enumerate() {
            let call = client
                .ready()
                .await
                .unwrap()
                .call(client::get(&shard.uri("/")));
            match call.await {
                Ok(answer) if answer.extensions().get::<Rejected>().is_some() => {
                    assert_eq!(index, 3);
                    refused += 1;
                }
                Ok(answer) => {
                    assert_eq!(answer.status(), StatusCode::OK);
                    answered += 1;
                }
                Err(_) => {
                    assert_eq!(index, 3);
                    failed += 1;
                }
            }
        }
    }
    assert_eq!(
        (answered, failed, refused),
        (7 * 20, TRIPS_AT, 20 - TRIPS_AT)
    );
    for (index, (shard, _)) in shards.iter().enumerate() {
        let state = circuits.get(&shard.address().to_string()).unwrap().state();
        assert_eq!(state == CircuitState::Open, index == 3);
    }
    assert_eq!(
        dependency.status(),
        Status::Degraded,
        "one shard of eight is not the dependency"
    );
    assert_eq!(dependency.registry().level(), DegradationLevel::Full);
}

#[tokio::test]
async fn a_dependency_whose_shards_are_mostly_dead_is_unhealthy_and_recovers_with_them() {
    let shards = eight().await;
    let registry = Registry::builder().dwell(Duration::ZERO).build().unwrap();
    let dependency = registry.dependency("shards").register().unwrap();
    let circuits = KeyedCircuits::with(&dependency, brief().build().unwrap(), 100).unwrap();
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::keyed(circuits.clone(), host).for_http())
        .service(client::http1());

    for (_, switch) in &shards[..6] {
        switch.off();
    }
    // The dependency's report is renewed once a second.
    let patience = Instant::now() + Duration::from_millis(1_500);
    while dependency.status() != Status::Unhealthy {
        assert!(
            Instant::now() < patience,
            "most calls are refused, and nobody says so"
        );
        for (shard, _) in &shards {
            let _ = client
                .ready()
                .await
                .unwrap()
                .call(client::get(&shard.uri("/")))
                .await;
        }
    }

    for (shard, switch) in &shards {
        switch.on();
        let circuit = circuits.get(&shard.address().to_string()).unwrap();
        until("a probe is due", || {
            circuit
                .stats()
                .retry_after
                .is_none_or(|left| left.is_zero())
        })
        .await;
        let answer = client::read(&mut client, client::get(&shard.uri("/"))).await;
        assert_eq!(
            (answer.status(), circuit.state()),
            (StatusCode::OK, CircuitState::Closed)
        );
    }
    assert_eq!(dependency.status(), Status::Healthy);
    assert_eq!(registry.level(), DegradationLevel::Full);
}

#[tokio::test]
async fn the_same_keyed_layer_goes_on_a_router() {
    let dependency = Registry::new().dependency("tenants").register().unwrap();
    let circuits = KeyedCircuits::with(&dependency, lasting().build().unwrap(), 100).unwrap();
    let by_tenant = |request: &axum::extract::Request| request.uri().path().to_owned();
    let app = axum::Router::new()
        .route(
            "/a",
            axum::routing::get(async || StatusCode::INTERNAL_SERVER_ERROR),
        )
        .route("/b", axum::routing::get(async || "fine"))
        .layer(CircuitBreakerLayer::keyed(circuits.clone(), by_tenant).for_http());
    let server = Server::axum(app).await;
    let mut client = client::http2();
    for _ in 0..TRIPS_AT {
        assert_eq!(
            client::read(&mut client, client::get(&server.uri("/a")))
                .await
                .status(),
            500
        );
    }
    assert_eq!(
        client::read(&mut client, client::get(&server.uri("/a")))
            .await
            .status(),
        503
    );
    assert_eq!(
        client::read(&mut client, client::get(&server.uri("/b")))
            .await
            .status(),
        200
    );
    assert_eq!(circuits.len(), 2);
}
