//! Services that a person, or a probe, says are down.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use brownout::{
    Dependency,
    registry::{CircuitState, FeatureState, Order, OverrideId, Status},
};

use super::Shop;

fn say_down(dependency: &Dependency) -> OverrideId {
    let order = Order::new("kim", "maintenance", Duration::from_mins(1));
    dependency
        .override_status(Status::Unhealthy, order)
        .unwrap()
}

#[tokio::test]
async fn they_are_not_asked_and_the_answers_say_why() {
    let shop = Shop::open(&[]).await;
    for backend in shop.system.backends.all() {
        say_down(backend.dependency());
    }
    for (path, marks) in [
        (
            "/api/v1/users/42/profile",
            "users;tier=database;reason=unhealthy",
        ),
        (
            "/api/v1/recommendations",
            "recommendations;tier=popular;reason=unhealthy",
        ),
        (
            "/api/v1/dashboard?user_id=42",
            "users;reason=unhealthy, orders;tier=fallback;reason=unhealthy, \
             recommendations;tier=fallback;reason=unhealthy, notifications;tier=fallback;reason=unhealthy, \
             balance;tier=fallback;reason=unhealthy",
        ),
    ] {
        // Often enough to open a circuit and to degrade a flag, if these were failures.
        for _ in 0..6 {
            let said = shop.get(path).await;
            assert_eq!(said.status, StatusCode::OK, "{path}");
            assert_eq!(said.degraded(), marks);
        }
    }
    for upstream in shop.system.upstreams.all() {
        assert_eq!(upstream.calls(), 0, "{}", upstream.name());
    }
    for backend in shop.system.backends.all() {
        assert_eq!(backend.circuit().state(), CircuitState::Closed);
    }
    let flag = &shop.system.ml_recommendations;
    assert_eq!(flag.state(), FeatureState::Enabled);
}

/// Whoever says that a service is down has been wrong before, and a payment is worth the call.
#[tokio::test]
async fn payments_are_tried_all_the_same() {
    let shop = Shop::open(&[]).await;
    say_down(shop.system.backends.payments.dependency());
    let request = Request::post("/api/v1/payments")
        .header("idempotency-key", "order-1")
        .header("content-type", "application/json")
        .body(Body::from(r#"{"user":42,"amount_cents":1999}"#));
    let said = shop.send(request.unwrap()).await;
    assert_eq!(said.status, StatusCode::CREATED);
    assert_eq!(said.source(), "payments");
}

#[tokio::test]
async fn they_are_asked_again_as_soon_as_nobody_says_so_any_more() {
    let shop = Shop::open(&[]).await;
    let users = shop.system.backends.users.dependency();
    let down = say_down(users);
    assert_eq!(
        shop.get("/api/v1/users/42/profile").await.source(),
        "database"
    );
    shop.system.registry.release(down).unwrap();
    assert_eq!(shop.get("/api/v1/users/42/profile").await.source(), "users");
}
