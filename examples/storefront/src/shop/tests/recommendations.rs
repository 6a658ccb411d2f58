//! Recommendations, and who makes them.

use axum::http::StatusCode;

use super::Shop;
use crate::{settings::Safeguard, upstream::Fault};

const ANYBODY: &str = "/api/v1/recommendations";

#[tokio::test]
async fn the_model_is_asked_first() {
    let shop = Shop::open(&[]).await;
    let said = shop
        .get("/api/v1/recommendations?user=42&category=tea")
        .await;
    assert_eq!(said.status, StatusCode::OK);
    assert_eq!(said.source(), "recommendations");
    assert_eq!(said.json["items"].as_array().unwrap().len(), 3);
    assert_eq!(said.degraded(), "");
}

#[tokio::test]
async fn without_the_model_rules_go_by_what_is_known_and_else_the_popular_is_shown() {
    let shop = Shop::open(&[]).await;
    shop.system
        .upstreams
        .recommendations
        .set_fault(Fault::HalfBody)
        .await
        .unwrap();
    let cups = shop.get("/api/v1/recommendations?category=cups").await;
    assert_eq!(cups.source(), "rules");
    assert_eq!(cups.json["items"][0]["sku"], "cup-stoneware");
    assert_eq!(
        shop.get("/api/v1/recommendations?user=1").await.source(),
        "rules"
    );
    let anybody = shop.get(ANYBODY).await;
    assert_eq!(anybody.source(), "popular");
    assert_eq!(
        anybody.degraded(),
        "recommendations;tier=popular;reason=circuit-open"
    );
}

#[tokio::test]
async fn without_its_breaker_the_shop_goes_on_calling() {
    let shop = Shop::open(&[Safeguard::Breaker]).await;
    let upstream = &shop.system.upstreams.recommendations;
    let fault = Fault::Status(StatusCode::INTERNAL_SERVER_ERROR);
    upstream.set_fault(fault).await.unwrap();
    for _ in 0..4 {
        assert_eq!(shop.get(ANYBODY).await.source(), "popular");
    }
    assert_eq!(upstream.calls(), 4);
}

#[tokio::test]
async fn what_cannot_be_asked_is_told_so() {
    let shop = Shop::open(&[]).await;
    for (query, says) in [
        ("?user=me", "whole number"),
        ("?user=", "whole number"),
        ("?category=shoes", "tea, pots, cups"),
        ("?colour=red", "colour"),
        ("?user=1&user=2", "user"),
    ] {
        let said = shop.get(&format!("{ANYBODY}{query}")).await;
        assert_eq!(said.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(said.detail().contains(says), "{query}: {}", said.detail());
    }
    assert_eq!(shop.system.upstreams.recommendations.calls(), 0);
}
