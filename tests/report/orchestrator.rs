//! What an orchestrator sees of a process while something that it shares with others is down, and afterwards.

use std::{convert::Infallible, time::Duration};

use axum::{Router, extract::State, routing::get};
use brownout::{
    Criticality, Dependency, Registry,
    breaker::{Circuit, CircuitBreakerLayer},
    flag::{FlagLayer, Flags},
    registry::{CircuitState, DegradationLevel, Probe, Report, ReporterKind, Status},
    report::{HealthLayer, probe},
};
use brownout_tests::{
    Server,
    circuit::{lasting, trip, until},
    client,
    server::{FINE, Hits, Switch},
};
use http::StatusCode;
use tower::{ServiceBuilder, ServiceExt};

const SOON: Duration = Duration::from_millis(20);

/// A registry whose level falls as soon as what raised it is over.
fn registry() -> Registry {
    Registry::builder().dwell(SOON).build().unwrap()
}

fn critical(registry: &Registry, name: &str) -> Dependency {
    let builder = registry.dependency(name).criticality(Criticality::Critical);
    builder.register().unwrap()
}

async fn status(server: &Server, path: &str) -> u16 {
    let answer = client::read(&mut client::http1(), client::get(&server.uri(path))).await;
    answer.status().as_u16()
}

/// The statuses of `/livez`, `/readyz`, `/startupz` and `/health`.
async fn statuses(server: &Server) -> [u16; 4] {
    [
        status(server, "/livez").await,
        status(server, "/readyz").await,
        status(server, "/startupz").await,
        status(server, "/health").await,
    ]
}

async fn until_statuses(server: &Server, expected: [u16; 4]) {
    for _ in 0..500 {
        if statuses(server).await == expected {
            return;
        }
        tokio::time::sleep(SOON / 4).await;
    }
    assert_eq!(statuses(server).await, expected);
}

/// Asks the ledger by way of the circuit.
async fn balance(State((circuit, uri)): State<(Circuit, String)>) -> StatusCode {
    let asked = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit).for_http())
        .map_err(|_| -> Infallible { unreachable!("the server listens") })
        .service(client::http1());
    let answer = asked.oneshot(client::get(&uri)).await.unwrap();
    answer.status()
}

/// A ledger that all replicas share, and a process that asks it and knows how it is by its circuit.
async fn shop(needed: bool) -> (Server, Registry, Circuit, (Server, Switch)) {
    let registry = registry();
    let ledger = critical(&registry, "ledger");
    let upstream = Server::switched(FINE).await;
    // Open for long enough that a test can look at it, however busy the machine.
    let policy = lasting().open_for(Duration::from_secs(2));
    let circuit = Circuit::builder(&ledger).policy(policy.build().unwrap());
    let circuit = circuit.build();
    let mut layer = HealthLayer::new(&registry);
    if needed {
        layer = layer.ready_when(&ledger);
    }
    let state = (circuit.clone(), upstream.0.uri("/"));
    let app = Router::new().route("/", get(balance)).with_state(state);
    (
        Server::axum(app.layer(layer)).await,
        registry,
        circuit,
        upstream,
    )
}

#[tokio::test]
async fn an_open_circuit_of_a_critical_dependency_that_all_share_restarts_nobody_and_takes_out_nobody()
 {
    // Whether or not somebody has named it for readiness: without requests, nobody could learn by the circuit that the
    // dependency is back.
    for needed in [false, true] {
        let (server, registry, circuit, _upstream) = shop(needed).await;
        assert_eq!(status(&server, "/").await, 200);
        assert_eq!(statuses(&server).await, [200, 200, 200, 200]);
        trip(&circuit);
        assert_eq!(status(&server, "/").await, 503);
        assert_eq!(registry.level(), DegradationLevel::Emergency);
        assert_eq!(statuses(&server).await, [200, 200, 200, 503]);
        // Nobody has called since: all that is known is that it is time to try again.
        until_statuses(&server, [200, 200, 200, 200]).await;
        assert_eq!(circuit.state(), CircuitState::Open);
        until("the level has fallen", || {
            registry.level() == DegradationLevel::Full
        })
        .await;
        assert_eq!(status(&server, "/").await, 200);
    }
}

#[tokio::test]
async fn readiness_that_needs_a_dependency_comes_back_by_its_probe_though_nobody_sends_requests() {
    let (server, registry, circuit, (upstream, switch)) = shop(true).await;
    let ledger = circuit.dependency().clone();
    let check = probe::http::<_, http_body_util::Empty<bytes::Bytes>, _>(
        client::http1(),
        upstream.uri("/").parse().unwrap(),
    );
    ledger
        .probe(Probe::new(check).interval(5 * SOON).timeout(5 * SOON))
        .unwrap();
    // Not before the probe has said so, though the process runs.
    assert_eq!(statuses(&server).await, [200, 503, 503, 200]);
    let _driver = registry.drive();
    until_statuses(&server, [200, 200, 200, 200]).await;

    switch.off();
    until_statuses(&server, [200, 503, 200, 503]).await;
    assert_eq!(ledger.status_without_traffic(), Status::Unhealthy);
    // The balancer sends nobody here any more. The circuit has seen no call since.
    let before = circuit.stats().totals;
    switch.on();
    until_statuses(&server, [200, 200, 200, 200]).await;
    assert_eq!(circuit.stats().totals, before);
    until("the level has fallen", || {
        registry.level() == DegradationLevel::Full
    })
    .await;
}

#[tokio::test]
async fn a_flag_that_steps_back_with_the_level_returns_with_it_though_nobody_calls() {
    let registry = registry();
    let ledger = critical(&registry, "ledger");
    let flag = Flags::new(&registry).builder("recommendations");
    let flag = flag.public_name("recommendations");
    let flag = flag
        .disable_at(DegradationLevel::Emergency)
        .build()
        .unwrap();
    let hits = Hits::default();
    let counted = hits.clone();
    let recommend = async move || {
        counted.hit();
        "for you"
    };
    let app = Router::new()
        .route("/recommendations", get(recommend))
        .route_layer(FlagLayer::for_http(flag.clone()))
        .layer(HealthLayer::new(&registry));
    let server = Server::axum(app).await;
    assert_eq!(status(&server, "/recommendations").await, 200);

    let reporter = ledger.reporter(ReporterKind::Code, "test");
    reporter.report(Report::unhealthy("gone"));
    let uri = server.uri("/recommendations");
    let refused = client::read(&mut client::http1(), client::get(&uri)).await;
    assert_eq!(refused.status(), 503);
    let problem: serde_json::Value = serde_json::from_slice(refused.body()).unwrap();
    assert_eq!(problem["type"], "urn:brownout:flag-disabled");
    assert_eq!(problem["dependency"], "recommendations");
    // A feature that is off is no reason for a restart, nor for a replica to go.
    assert_eq!(statuses(&server).await, [200, 200, 200, 503]);
    assert_eq!(hits.count(), 1);

    reporter.report(Report::healthy());
    until("the level has fallen", || {
        registry.level() == DegradationLevel::Full
    })
    .await;
    assert_eq!(statuses(&server).await, [200, 200, 200, 200]);
    assert_eq!(status(&server, "/recommendations").await, 200);
    assert_eq!(hits.count(), 2);
}
