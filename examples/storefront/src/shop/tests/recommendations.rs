//! Recommendations, and who makes them.

use axum::http::StatusCode;
use brownout::registry::{CircuitState, FeatureState};
use tokio::time::sleep;

use super::{FLAG_FOR, Shop};
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

/// A model that turns the shop away is alive, which is all that its circuit cares for.
async fn turned_away(shop: &Shop, times: usize) {
    let fault = Fault::Status(StatusCode::TOO_MANY_REQUESTS);
    let model = &shop.system.upstreams.recommendations;
    model.set_fault(fault).await.unwrap();
    for _ in 0..times {
        let said = shop.get("/api/v1/recommendations?category=cups").await;
        assert_eq!(said.status, StatusCode::OK);
        assert_eq!(said.source(), "rules");
        assert_eq!(said.degraded(), "recommendations;tier=rules;reason=failed");
    }
}

#[tokio::test]
async fn five_errors_degrade_the_flag_and_rules_stand_in_for_the_model() {
    let shop = Shop::open(&[]).await;
    let flag = &shop.system.ml_recommendations;
    turned_away(&shop, 4).await;
    assert_eq!(flag.state(), FeatureState::Enabled);
    turned_away(&shop, 1).await;
    assert_eq!(flag.state(), FeatureState::Degraded);
    let circuit = shop.system.backends.recommendations.circuit();
    assert_eq!(circuit.state(), CircuitState::Closed);

    let said = shop.get("/api/v1/recommendations?category=cups").await;
    assert_eq!(said.source(), "rules");
    let mark = "recommendations;tier=rules;reason=flag-degraded";
    assert_eq!(said.degraded(), mark);
    // Where the rules have nothing to go by either, the reason is still the flag's.
    let said = shop.get(ANYBODY).await;
    assert_eq!(said.source(), "popular");
    let mark = "recommendations;tier=popular;reason=flag-degraded";
    assert_eq!(said.degraded(), mark);
    assert_eq!(shop.system.upstreams.recommendations.calls(), 5);
}

#[tokio::test]
async fn a_flag_that_was_degraded_by_errors_recovers_by_itself() {
    let shop = Shop::open(&[]).await;
    turned_away(&shop, 5).await;
    let model = &shop.system.upstreams.recommendations;
    model.set_fault(Fault::None).await.unwrap();
    assert_eq!(shop.get(ANYBODY).await.source(), "popular");
    sleep(FLAG_FOR).await;
    let said = shop.get(ANYBODY).await;
    assert_eq!(said.source(), "recommendations");
    assert_eq!(said.degraded(), "");
}

#[tokio::test]
async fn refusals_by_the_circuit_do_not_degrade_the_flag() {
    let shop = Shop::open(&[]).await;
    let model = &shop.system.upstreams.recommendations;
    model.set_fault(Fault::HalfBody).await.unwrap();
    for _ in 0..10 {
        shop.get(ANYBODY).await;
    }
    assert_eq!(model.calls(), 2);
    let flag = &shop.system.ml_recommendations;
    assert_eq!(flag.state(), FeatureState::Enabled);
}

#[tokio::test]
async fn without_fallbacks_what_the_flag_refuses_is_refused() {
    let shop = Shop::open(&[Safeguard::Fallback]).await;
    let fault = Fault::Status(StatusCode::TOO_MANY_REQUESTS);
    let model = &shop.system.upstreams.recommendations;
    model.set_fault(fault).await.unwrap();
    for _ in 0..5 {
        assert_eq!(shop.get(ANYBODY).await.status, StatusCode::BAD_GATEWAY);
    }
    let said = shop.get(ANYBODY).await;
    assert_eq!(said.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(said.json["type"], "urn:brownout:flag-degraded");
    assert_eq!(said.json["dependency"], "recommendations");
}

#[tokio::test]
async fn without_its_flag_the_model_is_asked_however_often_it_failed() {
    let shop = Shop::open(&[Safeguard::Flag]).await;
    turned_away(&shop, 8).await;
    assert_eq!(shop.system.upstreams.recommendations.calls(), 8);
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
