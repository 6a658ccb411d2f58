//! People at the controls of a live server: what an order does to calls, to the registry, and to its events.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{num::NonZeroU32, time::Duration};

use axum::{Router, routing::get};
use brownout::{
    Criticality, Dependency, Registry,
    breaker::{Circuit, CircuitBreakerLayer, Policy},
    registry::{
        CircuitMode, CircuitState, DegradationLevel, EventKind, Events, Order, OverrideValue,
        Received, Status, SystemHealth,
    },
};
use brownout_tests::{
    Server,
    circuit::{TRIPS_AT, brief, lasting, until},
    client::{self, HyperClient},
    server::Hits,
};
use http::StatusCode;

/// A server whose one dependency fails as long as the path says so.
struct Shop {
    registry: Registry,
    payments: Dependency,
    circuit: Circuit,
    hits: Hits,
    server: Server,
    client: HyperClient,
}

impl Shop {
    async fn open(policy: Policy) -> Self {
        let registry = Registry::builder().dwell(Duration::ZERO).build().unwrap();
        let payments = registry
            .dependency("payments")
            .criticality(Criticality::Critical)
            .register()
            .unwrap();
        let circuit = Circuit::builder(&payments).policy(policy).build();
        let hits = Hits::default();
        let (good, bad) = (hits.clone(), hits.clone());
        let app = Router::new()
            .route("/pay", get(async move || good.hit()))
            .route(
                "/fail",
                get(async move || {
                    bad.hit();
                    StatusCode::BAD_GATEWAY
                }),
            )
            .layer(CircuitBreakerLayer::with(circuit.clone()).for_http());
        Self {
            registry,
            payments,
            circuit,
            hits,
            server: Server::axum(app).await,
            client: client::http1(),
        }
    }

    async fn get(&mut self, path: &str) -> http::Response<bytes::Bytes> {
        client::read(&mut self.client, client::get(&self.server.uri(path))).await
    }

    /// What the registry derives from it all.
    fn derived(&self) -> (Status, SystemHealth, DegradationLevel) {
        (
            self.payments.status(),
            self.registry.health(),
            self.registry.level(),
        )
    }
}

fn order(ttl: Duration) -> Order {
    Order::new("kim", "maintenance", ttl)
}

const WELL: (Status, SystemHealth, DegradationLevel) = (
    Status::Healthy,
    SystemHealth::Healthy,
    DegradationLevel::Full,
);
const DOWN: (Status, SystemHealth, DegradationLevel) = (
    Status::Unhealthy,
    SystemHealth::Critical,
    DegradationLevel::Emergency,
);

/// The events that have happened, by name.
fn names(events: &mut Events) -> Vec<String> {
    let mut names = Vec::new();
    let mut last = 0;
    while let Some(received) = events.try_recv() {
        let Received::Event(event) = received else {
            names.push("missed some".to_owned());
            continue;
        };
        assert!(
            last == 0 || event.sequence == last + 1,
            "numbered without a gap"
        );
        last = event.sequence;
        names.push(match &event.kind {
            EventKind::OverrideSet { actor, value, .. } => format!("{actor} sets {value}"),
            EventKind::OverrideReleased { value, .. } => format!("{value} released"),
            EventKind::OverrideExpired { value, .. } => format!("{value} expired"),
            EventKind::StatusChanged { to, .. } => format!("status {to}"),
            EventKind::HealthChanged { to, .. } => format!("health {to}"),
            EventKind::LevelChanged { to, .. } => format!("level {to}"),
            EventKind::CircuitOpened { reason, .. } => format!("opened: {reason}"),
            EventKind::CircuitHalfOpened { .. } => "half-open".to_owned(),
            EventKind::CircuitClosed { .. } => "closed".to_owned(),
            EventKind::CircuitWouldOpen { reason, .. } => format!("would open: {reason}"),
            other => format!("{other:?}"),
        });
    }
    names
}

#[tokio::test]
async fn forced_open_refuses_at_once_and_released_it_works_again() {
    let mut shop = Shop::open(lasting().build().unwrap()).await;
    let mut events = shop.registry.events();
    assert_eq!(shop.get("/pay").await.status(), StatusCode::OK);

    let id = shop
        .payments
        .override_circuit(CircuitMode::ForcedOpen, order(Duration::from_secs(30)))
        .unwrap();
    let refusal = shop.get("/pay").await;
    assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
    let problem: serde_json::Value = serde_json::from_slice(refusal.body()).unwrap();
    assert_eq!(problem["type"], "urn:brownout:circuit-forced-open");
    let retry_after: u64 = refusal.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        (29..=36).contains(&retry_after),
        "what is left of the order: {retry_after}"
    );
    assert_eq!(shop.hits.count(), 1);
    assert_eq!(
        shop.circuit.state(),
        CircuitState::Closed,
        "the circuit's own state is another matter"
    );
    assert_eq!(shop.circuit.stats().mode, Some(CircuitMode::ForcedOpen));
    assert_eq!(shop.derived(), DOWN);

    shop.registry.release(id).unwrap();
    assert_eq!(shop.get("/pay").await.status(), StatusCode::OK);
    assert_eq!(shop.derived(), WELL);
    assert_eq!(
        names(&mut events),
        [
            "kim sets forced-open",
            "status unhealthy",
            "health critical",
            "level emergency",
            "forced-open released",
            "status healthy",
            "health healthy",
            "level full",
        ]
    );
}

#[tokio::test]
async fn an_order_that_nobody_takes_back_ends_by_itself() {
    let mut shop = Shop::open(lasting().build().unwrap()).await;
    shop.payments
        .override_circuit(CircuitMode::ForcedOpen, order(Duration::from_millis(300)))
        .unwrap();
    assert_eq!(
        shop.get("/pay").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    let cell = shop.payments.circuit_override();
    until("the order has expired", || cell.get().is_none()).await;
    assert_eq!(shop.get("/pay").await.status(), StatusCode::OK);
    assert_eq!(shop.derived(), WELL);
    assert!(shop.registry.overrides().is_empty());
}

#[tokio::test]
async fn forced_closed_admits_what_the_circuit_would_refuse_and_counts_on() {
    let mut shop = Shop::open(lasting().build().unwrap()).await;
    for _ in 0..TRIPS_AT {
        shop.get("/fail").await;
    }
    assert_eq!(
        shop.get("/pay").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(shop.derived(), DOWN);

    let id = shop
        .payments
        .override_circuit(CircuitMode::ForcedClosed, order(Duration::from_secs(30)))
        .unwrap();
    assert_eq!(shop.get("/pay").await.status(), StatusCode::OK);
    assert_eq!(
        shop.payments.status(),
        Status::Degraded,
        "a circuit that is held closed is a risk"
    );
    for _ in 0..2 * TRIPS_AT {
        assert_eq!(shop.get("/fail").await.status(), StatusCode::BAD_GATEWAY);
    }
    let failures = u64::from(3 * TRIPS_AT);
    until("all were counted", || {
        shop.circuit.stats().totals.failures == failures
    })
    .await;

    shop.registry.release(id).unwrap();
    assert_eq!(
        shop.get("/pay").await.status(),
        StatusCode::SERVICE_UNAVAILABLE,
        "it is still open"
    );
}

#[tokio::test]
async fn observing_only_says_what_would_have_happened() {
    let mut shop = Shop::open(lasting().build().unwrap()).await;
    shop.payments
        .override_circuit(CircuitMode::ObserveOnly, order(Duration::from_secs(30)))
        .unwrap();
    let mut events = shop.registry.events();
    for _ in 0..2 * TRIPS_AT {
        assert_eq!(shop.get("/fail").await.status(), StatusCode::BAD_GATEWAY);
    }
    assert_eq!(shop.get("/pay").await.status(), StatusCode::OK);
    assert_eq!(names(&mut events), ["would open: consecutive failures"; 2]);
    assert_eq!(shop.circuit.state(), CircuitState::Closed);
    assert_eq!(shop.circuit.stats().totals.rejected, 0);
}

#[tokio::test]
async fn an_outage_and_its_end_can_be_read_in_the_events() {
    let mut shop = Shop::open(brief().build().unwrap()).await;
    let mut events = shop.registry.events();
    for _ in 0..TRIPS_AT {
        shop.get("/fail").await;
    }
    assert_eq!(
        shop.get("/pay").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(shop.derived(), DOWN);
    // From when a probe is due nobody knows, and the level is not held down by ignorance.
    until("a probe is due", || {
        shop.payments.status() == Status::Degraded
    })
    .await;
    assert_eq!(
        shop.derived(),
        (
            Status::Degraded,
            SystemHealth::Degraded,
            DegradationLevel::Full
        )
    );
    assert_eq!(shop.get("/pay").await.status(), StatusCode::OK);
    until("the probe was judged", || {
        shop.circuit.state() == CircuitState::Closed
    })
    .await;
    assert_eq!(shop.derived(), WELL);
    assert_eq!(
        names(&mut events),
        [
            "opened: consecutive failures",
            "status unhealthy",
            "health critical",
            "level emergency",
            "status degraded",
            "health degraded",
            "level full",
            "half-open",
            "status unhealthy",
            "health critical",
            "level emergency",
            "closed",
            "status healthy",
            "health healthy",
            "level full",
        ]
    );
}

#[tokio::test]
async fn a_policy_changes_under_traffic_and_the_counts_stay() {
    let mut shop = Shop::open(lasting().build().unwrap()).await;
    shop.get("/fail").await;
    shop.get("/fail").await;
    shop.circuit
        .reconfigure(Policy::consecutive(NonZeroU32::new(4).unwrap()));
    shop.get("/fail").await;
    until("it was judged", || {
        shop.circuit.stats().totals.failures == 3
    })
    .await;
    assert_eq!(shop.circuit.state(), CircuitState::Closed);
    shop.get("/fail").await;
    until("the fourth of four was judged", || {
        shop.circuit.state() == CircuitState::Open
    })
    .await;
}

#[tokio::test]
async fn the_newest_of_several_orders_counts_and_its_end_reveals_the_older() {
    let mut shop = Shop::open(lasting().build().unwrap()).await;
    let order = || order(Duration::from_secs(30));
    shop.payments
        .override_circuit(CircuitMode::ForcedOpen, order())
        .unwrap();
    let newer = shop
        .payments
        .override_circuit(CircuitMode::ForcedClosed, order())
        .unwrap();
    assert_eq!(shop.get("/pay").await.status(), StatusCode::OK);
    let effective: Vec<_> = shop
        .registry
        .overrides()
        .iter()
        .filter(|info| info.effective)
        .map(|info| info.value)
        .collect();
    assert_eq!(
        effective,
        [OverrideValue::Circuit(CircuitMode::ForcedClosed)]
    );
    shop.registry.release(newer).unwrap();
    assert_eq!(
        shop.get("/pay").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}
