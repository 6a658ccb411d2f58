//! Payments: charged once, queued where they were certainly not sent, and never a guess.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{Said, Shop};
use crate::{
    charge::charge,
    customer::UserId,
    payment::{Order, Payment},
    settings::Safeguard,
    upstream::Fault,
};

/// Longer than anything takes that is not held back on purpose.
pub(super) const LONG: Duration = Duration::from_mins(1);

pub(super) fn order(amount_cents: u64) -> Order {
    Order {
        user: UserId(42),
        amount_cents,
    }
}

pub(super) fn request(keys: &[&[u8]], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::post("/api/v1/payments").header("content-type", "application/json");
    for key in keys {
        request = request.header("idempotency-key", *key);
    }
    request.body(body.into()).unwrap()
}

impl Shop {
    pub(super) async fn pay(&self, key: &str, amount_cents: u64) -> Said {
        let body = serde_json::to_vec(&order(amount_cents)).unwrap();
        self.send(request(&[key.as_bytes()], body)).await
    }

    pub(super) async fn state(&self, key: &str) -> Value {
        self.get(&format!("/api/v1/payments/{key}")).await.json["state"].clone()
    }

    pub(super) async fn payments_fail(&self, fault: Fault) {
        self.system
            .upstreams
            .payments
            .set_fault(fault)
            .await
            .unwrap();
    }

    /// Waits until the payment has been made up for. Real time, since real sockets are.
    async fn charged(&self, key: &str) {
        let charged = async {
            while self.state(key).await != "charged" {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONG, charged).await.unwrap();
    }

    pub(super) fn times_charged(&self, amount_cents: u64) -> usize {
        self.system
            .upstreams
            .ledger
            .times_charged(&order(amount_cents))
    }
}

#[tokio::test]
async fn a_payment_is_charged_once_however_often_it_is_sent() {
    let shop = Shop::open(&[]).await;
    for source in ["payments", "shop", "shop"] {
        let said = shop.pay("k-1", 500).await;
        assert_eq!(said.status, StatusCode::CREATED);
        assert_eq!(said.json["state"], "charged");
        assert_eq!(said.source(), source);
    }
    assert_eq!(shop.times_charged(500), 1);
    assert_eq!(shop.state("k-1").await, "charged");
}

#[tokio::test]
async fn a_payment_that_is_sent_many_times_at_once_is_charged_once() {
    let shop = Shop::open(&[]).await;
    let twins = tokio::join!(
        shop.pay("k", 1),
        shop.pay("k", 1),
        shop.pay("k", 1),
        shop.pay("k", 1)
    );
    for said in [twins.0, twins.1, twins.2, twins.3] {
        assert_eq!(said.status, StatusCode::CREATED);
    }
    assert_eq!(shop.times_charged(1), 1);
}

#[tokio::test]
async fn a_key_belongs_to_one_payment() {
    let shop = Shop::open(&[]).await;
    shop.pay("k-1", 500).await;
    let said = shop.pay("k-1", 600).await;
    assert_eq!(said.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(said.json["type"], "urn:storefront:key-reused");
    assert_eq!(shop.times_charged(600), 0);
    assert_eq!(
        shop.state("k-1").await,
        "charged",
        "the first payment is not touched"
    );
}

#[tokio::test]
async fn a_payment_that_is_known_to_be_made_stays_made_whatever_breaks() {
    let shop = Shop::open(&[]).await;
    shop.pay("k-1", 500).await;
    for fault in [
        Fault::ClosedPort,
        Fault::Hang,
        Fault::Status(StatusCode::PAYMENT_REQUIRED),
        Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        shop.payments_fail(fault).await;
        let said = shop.pay("k-1", 500).await;
        assert_eq!(said.status, StatusCode::CREATED, "{fault}");
        assert_eq!(said.json["state"], "charged", "{fault}");
        assert!(said.json["note"].is_null(), "{fault}");
    }
}

#[tokio::test]
async fn a_key_that_the_shop_has_forgotten_stays_with_its_payment() {
    let shop = Shop::open(&[]).await;
    let forgotten = Payment {
        key: "k-1".parse().unwrap(),
        order: order(500),
    };
    charge(&shop.system.backends.payments, &forgotten)
        .await
        .unwrap();

    let said = shop.pay("k-1", 600).await;
    assert_eq!(said.status, StatusCode::UNPROCESSABLE_ENTITY);
    let unknown = shop.get("/api/v1/payments/k-1").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{}", unknown.json);
    assert_eq!(shop.pay("k-1", 500).await.status, StatusCode::CREATED);
    assert_eq!(shop.times_charged(500), 1);
}

#[tokio::test]
async fn a_payment_that_cannot_be_sent_is_queued_and_charged_once_afterwards() {
    let shop = Shop::open(&[]).await;
    shop.payments_fail(Fault::ClosedPort).await;
    for round in 0..3 {
        let said = shop.pay("k-1", 500).await;
        assert_eq!(said.status, StatusCode::ACCEPTED, "{round}");
        assert_eq!(said.json["note"], "accepted, not durable");
        assert_eq!(said.json["state"], "pending");
        assert!(
            said.degraded().starts_with("payments;tier=outbox;reason="),
            "{}",
            said.degraded()
        );
    }
    assert_eq!(shop.system.outbox.waiting(), 1);
    let other = shop.pay("k-1", 600).await;
    assert_eq!(
        other.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "a queued payment keeps its key"
    );

    shop.payments_fail(Fault::None).await;
    shop.charged("k-1").await;
    assert_eq!(shop.times_charged(500), 1);
    assert_eq!(shop.times_charged(600), 0);
    assert_eq!(shop.system.outbox.waiting(), 0);
}

#[tokio::test]
async fn a_payment_that_is_refused_by_an_open_circuit_is_queued() {
    let shop = Shop::open(&[]).await;
    shop.payments_fail(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR))
        .await;
    for n in 1..=2 {
        let said = shop.pay(&format!("k-{n}"), n).await;
        assert_eq!(said.status, StatusCode::BAD_GATEWAY);
    }
    let before = shop.system.upstreams.payments.calls();
    let said = shop.pay("k-3", 300).await;
    assert_eq!(said.status, StatusCode::ACCEPTED);
    assert_eq!(said.degraded(), "payments;tier=outbox;reason=circuit-open");
    assert_eq!(shop.system.upstreams.payments.calls(), before);
    shop.payments_fail(Fault::None).await;
    shop.charged("k-3").await;
    assert_eq!(shop.times_charged(300), 1);
}

#[tokio::test]
async fn a_charge_that_hung_after_it_was_made_is_not_queued_and_may_be_repeated() {
    let shop = Shop::open(&[]).await;
    shop.payments_fail(Fault::HangAfterCharge).await;
    let said = shop.pay("k-1", 500).await;
    assert_eq!(said.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(said.json["type"], "urn:storefront:outcome-unknown");
    assert!(
        said.detail().contains("not known") && said.detail().contains("same Idempotency-Key"),
        "{}",
        said.detail()
    );
    assert_eq!(shop.system.outbox.waiting(), 0);
    assert_eq!(shop.state("k-1").await, "unknown");
    assert_eq!(shop.times_charged(500), 1);

    shop.payments_fail(Fault::None).await;
    assert_eq!(shop.pay("k-1", 500).await.status, StatusCode::CREATED);
    assert_eq!(shop.times_charged(500), 1);
    assert_eq!(shop.state("k-1").await, "charged");
}

#[tokio::test]
async fn every_answer_that_may_hide_a_charge_says_so() {
    let shop = Shop::open(&[Safeguard::Breaker]).await;
    for (n, fault) in (1..).zip([
        Fault::Status(StatusCode::SERVICE_UNAVAILABLE),
        Fault::Status(StatusCode::TOO_MANY_REQUESTS),
        Fault::Hang,
        Fault::HalfBody,
    ]) {
        shop.payments_fail(fault).await;
        let said = shop.pay(&format!("k-{n}"), n).await;
        assert!(said.status.is_server_error(), "{fault}: {}", said.status);
        assert_eq!(
            said.json["type"], "urn:storefront:outcome-unknown",
            "{fault}"
        );
        assert_eq!(shop.state(&format!("k-{n}")).await, "unknown", "{fault}");
    }
    assert_eq!(shop.system.outbox.waiting(), 0);
}

#[tokio::test]
async fn a_payment_that_is_declined_is_neither_queued_nor_unknown() {
    let shop = Shop::open(&[]).await;
    shop.payments_fail(Fault::Status(StatusCode::FORBIDDEN))
        .await;
    let said = shop.pay("k-1", 500).await;
    assert_eq!(said.status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(shop.state("k-1").await, "failed");
}

#[tokio::test]
async fn a_queued_payment_that_is_declined_has_failed() {
    let shop = Shop::open(&[]).await;
    shop.payments_fail(Fault::ClosedPort).await;
    assert_eq!(shop.pay("k-1", 500).await.status, StatusCode::ACCEPTED);
    shop.payments_fail(Fault::Status(StatusCode::FORBIDDEN))
        .await;
    let failed = async {
        while shop.state("k-1").await != "failed" {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, failed).await.unwrap();
    assert_eq!(shop.system.outbox.waiting(), 0);
}

#[tokio::test]
async fn without_fallbacks_nothing_is_queued() {
    let shop = Shop::open(&[Safeguard::Fallback]).await;
    shop.payments_fail(Fault::ClosedPort).await;
    assert_eq!(shop.pay("k-1", 500).await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(shop.pay("k-2", 500).await.status, StatusCode::BAD_GATEWAY);
    let said = shop.pay("k-3", 500).await;
    assert_eq!(said.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(said.headers.contains_key("retry-after"));
    assert_eq!(shop.system.outbox.waiting(), 0);
}

#[tokio::test]
async fn when_no_more_can_wait_the_next_is_turned_away_and_may_come_again() {
    let shop = Shop::open(&[]).await;
    shop.payments_fail(Fault::ClosedPort).await;
    let mut n = 0;
    let turned_away = loop {
        let said = shop.pay(&format!("k-{n}"), 1).await;
        if said.status != StatusCode::ACCEPTED {
            break said;
        }
        n += 1;
    };
    assert_eq!(n, 1_000);
    assert_eq!(turned_away.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(turned_away.headers.contains_key("retry-after"));
    let unknown = shop.get(&format!("/api/v1/payments/k-{n}")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "it was never sent");
    assert_eq!(
        shop.pay("k-0", 1).await.status,
        StatusCode::ACCEPTED,
        "who waits already goes on waiting"
    );
}

#[tokio::test]
async fn payments_are_no_longer_made_up_for_once_the_system_is_dropped() {
    let shop = Shop::open(&[]).await;
    shop.payments_fail(Fault::ClosedPort).await;
    shop.pay("k-1", 500).await;
    let (outbox, replays) = (
        shop.system.outbox.clone(),
        shop.system.backends.payments.clone(),
    );
    drop(shop);
    let before = replays.circuit().stats();
    sleep(Duration::from_millis(200)).await;
    assert_eq!(outbox.waiting(), 1);
    assert_eq!(replays.circuit().stats().totals, before.totals);
}
