//! Profiles, and who gives them.

use std::time::Duration;

use axum::http::StatusCode;
use brownout::registry::CircuitState;
use rusqlite::Connection;

use super::Shop;
use crate::{settings::Safeguard, upstream::Fault};

const PROFILE: &str = "/api/v1/users/42/profile";

#[tokio::test]
async fn what_the_users_service_knows_is_passed_on() {
    let shop = Shop::open(&[]).await;
    let said = shop.get("/api/v1/users/40/profile").await;
    assert_eq!(said.status, StatusCode::OK);
    assert_eq!(said.json["id"], 40);
    assert_eq!(said.json["tier"], "gold");
    assert_eq!(said.source(), "users");
    assert_eq!(said.degraded(), "");
}

#[tokio::test]
async fn each_tier_answers_for_what_those_before_it_do_not_know() {
    let shop = Shop::open(&[]).await;
    shop.get(PROFILE).await;
    shop.system
        .upstreams
        .users
        .set_fault(Fault::ClosedPort)
        .await
        .unwrap();
    for (path, source) in [
        (PROFILE, "cache"),
        ("/api/v1/users/4710/profile", "database"),
        ("/api/v1/users/999999/profile", "minimal"),
    ] {
        let said = shop.get(path).await;
        assert_eq!(said.status, StatusCode::OK);
        assert_eq!(said.source(), source);
        assert!(
            said.degraded()
                .starts_with(&format!("users;tier={source};reason=")),
            "{}",
            said.degraded()
        );
        assert_eq!(said.headers["cache-control"], "no-store");
    }
    let gold = shop.get("/api/v1/users/4710/profile").await;
    assert_eq!(gold.json["tier"], "gold", "the database knows customers");
}

#[tokio::test]
async fn every_fault_is_answered_for() {
    let shop = Shop::open(&[Safeguard::Breaker]).await;
    shop.get(PROFILE).await;
    for (fault, reason) in [
        (Fault::Status(StatusCode::INTERNAL_SERVER_ERROR), "failed"),
        (Fault::Status(StatusCode::TOO_MANY_REQUESTS), "failed"),
        (Fault::Latency(Duration::from_mins(1)), "timed-out"),
        (Fault::Hang, "timed-out"),
        (Fault::HalfBody, "failed"),
        (Fault::ClosedPort, "unreachable"),
    ] {
        shop.system.upstreams.users.set_fault(fault).await.unwrap();
        // What a connection that was open before the port closed says is a matter of chance; the next one is refused.
        shop.get(PROFILE).await;
        let said = shop.get(PROFILE).await;
        assert_eq!(said.status, StatusCode::OK, "{fault}");
        let mark = format!("users;tier=cache;reason={reason};age=");
        assert!(
            said.degraded().starts_with(&mark),
            "{fault}: {}",
            said.degraded()
        );
    }
}

#[tokio::test]
async fn an_open_circuit_is_answered_for_and_spares_the_service() {
    let shop = Shop::open(&[]).await;
    shop.get(PROFILE).await;
    let upstream = &shop.system.upstreams.users;
    upstream.set_fault(Fault::HalfBody).await.unwrap();
    for _ in 0..2 {
        shop.get(PROFILE).await;
    }
    assert_eq!(
        shop.system.backends.users.circuit().state(),
        CircuitState::Open
    );
    let before = upstream.calls();
    let said = shop.get(PROFILE).await;
    let mark = "users;tier=cache;reason=circuit-open;age=";
    assert!(said.degraded().starts_with(mark), "{}", said.degraded());
    assert_eq!(upstream.calls(), before);
}

#[tokio::test]
async fn without_fallbacks_every_fault_is_a_clear_problem() {
    let shop = Shop::open(&[Safeguard::Breaker, Safeguard::Fallback]).await;
    for (fault, expected) in [
        (
            Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
            StatusCode::BAD_GATEWAY,
        ),
        (
            Fault::Latency(Duration::from_mins(1)),
            StatusCode::GATEWAY_TIMEOUT,
        ),
        (Fault::Hang, StatusCode::GATEWAY_TIMEOUT),
        (Fault::ClosedPort, StatusCode::BAD_GATEWAY),
        (Fault::HalfBody, StatusCode::BAD_GATEWAY),
    ] {
        shop.system.upstreams.users.set_fault(fault).await.unwrap();
        let said = shop.get(PROFILE).await;
        assert_eq!(said.status, expected, "{fault}");
        assert_eq!(
            said.headers["content-type"], "application/problem+json",
            "{fault}"
        );
        assert_eq!(said.json["dependency"], "users", "{fault}");
        let text = said.json.to_string();
        assert!(!text.contains("127.0.0.1"), "{fault}: {text}");
    }
}

#[tokio::test]
async fn without_fallbacks_an_open_circuit_says_when_to_come_back() {
    let shop = Shop::open(&[Safeguard::Fallback]).await;
    shop.system
        .upstreams
        .users
        .set_fault(Fault::ClosedPort)
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(shop.get(PROFILE).await.status, StatusCode::BAD_GATEWAY);
    }
    let said = shop.get(PROFILE).await;
    assert_eq!(said.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(said.headers.contains_key("retry-after"));
    assert_eq!(said.json["type"], "urn:brownout:circuit-open");
    assert_eq!(said.json["title"], "Circuit open");
    assert_eq!(said.json["dependency"], "users");
}

#[tokio::test]
async fn a_database_that_breaks_leaves_what_can_be_said_of_anybody() {
    let shop = Shop::open(&[]).await;
    shop.system
        .upstreams
        .users
        .set_fault(Fault::ClosedPort)
        .await
        .unwrap();
    let file = shop.data_dir.path().join("storefront.sqlite3");
    Connection::open(file)
        .unwrap()
        .execute_batch("DROP TABLE customers")
        .unwrap();
    let said = shop.get(PROFILE).await;
    assert_eq!(said.status, StatusCode::OK);
    assert_eq!(said.source(), "minimal");
}

#[tokio::test]
async fn unknown_customers_and_wrong_ids_are_no_failures_of_the_service() {
    let shop = Shop::open(&[]).await;
    for _ in 0..4 {
        let said = shop.get("/api/v1/users/999999/profile").await;
        assert_eq!(said.status, StatusCode::NOT_FOUND);
        assert_eq!(said.json["dependency"], "users");
    }
    assert_eq!(
        shop.system.backends.users.circuit().state(),
        CircuitState::Closed
    );

    let before = shop.system.upstreams.users.calls();
    for id in ["me", "-1", "1.5", "99999999999999999999", "%20", "%ff"] {
        let said = shop.get(&format!("/api/v1/users/{id}/profile")).await;
        assert_eq!(said.status, StatusCode::BAD_REQUEST, "{id}");
        assert!(
            said.detail().contains("whole number"),
            "{id}: {}",
            said.detail()
        );
    }
    assert_eq!(shop.system.upstreams.users.calls(), before);
}
