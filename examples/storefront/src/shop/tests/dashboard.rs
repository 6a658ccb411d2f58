//! The dashboard, and what it is made of.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use brownout::registry::{CircuitState, FeatureState};
use serde_json::json;
use tokio::time::Instant;

use super::{Said, Shop};
use crate::{
    settings::Safeguard,
    upstream::{Fault, Upstream},
};

const PAGE: &str = "/api/v1/dashboard?user_id=42";
const PARTS: [&str; 5] = [
    "users",
    "orders",
    "recommendations",
    "notifications",
    "balance",
];

impl Shop {
    async fn all_fail(&self, fault: Fault) {
        for name in PARTS {
            self.upstream(name).set_fault(fault).await.unwrap();
        }
    }

    fn upstream(&self, name: &str) -> &Upstream {
        self.system.upstreams.named(name).unwrap()
    }

    fn calls(&self) -> u64 {
        PARTS.iter().map(|name| self.upstream(name).calls()).sum()
    }
}

impl Said {
    fn failed(&self) -> Vec<&str> {
        let failed = self.json["failed_services"].as_array().unwrap();
        let names = failed.iter().map(|failed| failed["service"].as_str());
        names.map(Option::unwrap).collect()
    }
}

#[tokio::test]
async fn a_dashboard_is_made_of_what_five_services_say() {
    let shop = Shop::open(&[]).await;
    let said = shop.get(PAGE).await;
    assert_eq!(said.status, StatusCode::OK);
    assert_eq!(said.degraded(), "");
    assert!(!said.headers.contains_key("cache-control"));
    let page = &said.json["data"];
    assert_eq!(page["profile"]["newsletter"], true);
    assert_eq!(page["orders"][0]["number"], "42-1");
    assert_eq!(page["recommendations"].as_array().unwrap().len(), 3);
    assert_eq!(page["notifications"].as_array().unwrap().len(), 1);
    assert_eq!(page["balance"], json!({ "cents": 542 }));
    assert_eq!(said.json["partial_failure"], false);
    assert_eq!(said.json["failed_services"], json!([]));
    assert_eq!(shop.calls(), 5);
}

#[tokio::test]
async fn with_everything_down_every_value_is_a_sensible_default() {
    for (fault, text) in [
        (Fault::Status(StatusCode::INTERNAL_SERVER_ERROR), "failed"),
        (Fault::HalfBody, "failed"),
        (Fault::ClosedPort, "not reachable"),
    ] {
        let shop = Shop::open(&[]).await;
        shop.all_fail(fault).await;
        let said = shop.get(PAGE).await;
        assert_eq!(said.status, StatusCode::OK, "{fault}");
        let page = &said.json["data"];
        let profile =
            json!({ "id": 42, "tier": "standard", "language": "en", "newsletter": false });
        assert_eq!(page["profile"], profile, "{fault}");
        assert_eq!(page["orders"], json!([]));
        assert_eq!(page["recommendations"][0]["sku"], "tea-assam-250");
        assert_eq!(page["notifications"], json!([]));
        assert_eq!(page["balance"], json!(null), "nobody guesses money");
        assert_eq!(said.json["partial_failure"], true);
        assert_eq!(said.failed(), PARTS);
        assert_eq!(said.json["failed_services"][4]["error"], text, "{fault}");
        for (name, mark) in PARTS.iter().zip(said.degraded().split(", ")) {
            assert!(mark.starts_with(&format!("{name};")), "{fault}: {mark}");
        }
        assert_eq!(said.headers["cache-control"], "no-store");
        assert!(!said.json.to_string().contains("127.0.0.1"));
    }
}

#[tokio::test]
async fn when_its_time_is_over_the_page_is_made_of_what_there_is() {
    let (patience, whole) = (Duration::from_mins(1), Duration::from_millis(300));
    let shop = Shop::in_haste(&[], patience, whole).await;
    shop.all_fail(Fault::Hang).await;
    shop.upstream("orders")
        .set_fault(Fault::None)
        .await
        .unwrap();
    let start = Instant::now();
    let said = shop.get(PAGE).await;
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(said.status, StatusCode::OK);
    assert_eq!(
        said.failed(),
        ["users", "recommendations", "notifications", "balance"]
    );
    let first = &said.json["failed_services"][0];
    assert_eq!(first["error"], "no answer in time");
    assert_eq!(said.json["data"]["orders"][0]["number"], "42-1");
}

#[tokio::test]
async fn a_part_that_hangs_fails_inside_its_breaker() {
    let patience = Duration::from_millis(100);
    let shop = Shop::with_times(&[], patience, Duration::from_mins(1)).await;
    let balance = shop.upstream("balance");
    balance.set_fault(Fault::Hang).await.unwrap();
    for _ in 0..2 {
        assert_eq!(shop.get(PAGE).await.failed(), ["balance"]);
    }
    let circuit = shop.system.backends.balance.circuit();
    assert_eq!(circuit.state(), CircuitState::Open);
    let said = shop.get(PAGE).await;
    assert_eq!(said.degraded(), "balance;tier=fallback;reason=circuit-open");
    assert_eq!(balance.calls(), 2);
}

#[tokio::test]
async fn rules_recommend_on_a_dashboard_too_while_the_flag_is_degraded() {
    let shop = Shop::open(&[]).await;
    shop.system
        .ml_recommendations
        .configure(FeatureState::Degraded);
    let said = shop.get(PAGE).await;
    assert_eq!(
        said.degraded(),
        "recommendations;tier=degraded;reason=flag-degraded"
    );
    // It is what the flag wants, and nothing failed.
    assert_eq!(said.json["partial_failure"], false);
    let first = &said.json["data"]["recommendations"][0];
    assert_eq!(first["sku"], "tea-assam-250");
    assert_eq!(shop.upstream("recommendations").calls(), 0);
}

#[tokio::test]
async fn errors_of_a_dashboard_degrade_the_flag_as_those_of_the_page_do() {
    let shop = Shop::open(&[]).await;
    let fault = Fault::Status(StatusCode::TOO_MANY_REQUESTS);
    let model = shop.upstream("recommendations");
    model.set_fault(fault).await.unwrap();
    for _ in 0..5 {
        assert_eq!(shop.get(PAGE).await.failed(), ["recommendations"]);
    }
    assert_eq!(shop.get(PAGE).await.failed(), [""; 0]);
    assert_eq!(model.calls(), 5);
}

#[tokio::test]
async fn nobodys_customer_has_no_dashboard() {
    for without in [&[][..], &[Safeguard::Aggregate]] {
        let shop = Shop::open(without).await;
        let said = shop.get("/api/v1/dashboard?user_id=999999").await;
        assert_eq!(said.status, StatusCode::NOT_FOUND);
        assert_eq!(said.json["dependency"], "users");
    }
}

#[tokio::test]
async fn nobody_is_asked_on_account_of_a_wrong_request() {
    let shop = Shop::open(&[]).await;
    for (query, says) in [
        ("", "user_id"),
        ("?user_id=", "whole number"),
        ("?user_id=me", "whole number"),
        ("?user_id=42&colour=red", "colour"),
        ("?user_id=1&user_id=2", "user_id"),
    ] {
        let said = shop.get(&format!("/api/v1/dashboard{query}")).await;
        assert_eq!(said.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(said.detail().contains(says), "{query}: {}", said.detail());
    }
    let request = Request::delete(PAGE).body(Body::empty()).unwrap();
    let said = shop.send(request).await;
    assert_eq!(said.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(said.detail().contains("DELETE"));
    assert_eq!(shop.calls(), 0);
}

#[tokio::test]
async fn without_the_aggregate_one_service_decides_over_all() {
    let shop = Shop::open(&[Safeguard::Aggregate]).await;
    let whole = shop.get(PAGE).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(whole.json["partial_failure"], false);
    assert_eq!(whole.json["data"]["balance"]["cents"], 542);

    let notifications = shop.upstream("notifications");
    notifications.set_fault(Fault::HalfBody).await.unwrap();
    let said = shop.get(PAGE).await;
    assert_eq!(said.status, StatusCode::BAD_GATEWAY);
    assert_eq!(said.json["dependency"], "notifications");
}
