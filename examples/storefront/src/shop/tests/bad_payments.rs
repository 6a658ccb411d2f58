//! What is no payment.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use hyper::body::Frame;
use serde_json::json;

use super::{
    Shop,
    payments::{order, request},
};

#[tokio::test]
async fn a_payment_needs_one_key_that_is_a_key() {
    let shop = Shop::open(&[]).await;
    let long = [b'k'; 65];
    let wrong: [&[&[u8]]; 6] = [
        &[],
        &[b""],
        &[b"a", b"b"],
        &[b"two words"],
        &["schl\u{fc}ssel".as_bytes()],
        &[&long],
    ];
    for keys in wrong {
        let body = serde_json::to_vec(&order(1)).unwrap();
        let said = shop.send(request(keys, body)).await;
        assert_eq!(said.status, StatusCode::BAD_REQUEST, "{keys:?}");
        assert!(
            said.detail().to_lowercase().contains("idempotency"),
            "{}",
            said.detail()
        );
    }
    assert_eq!(shop.system.upstreams.payments.calls(), 0);
}

#[tokio::test]
async fn what_is_no_order_is_told_so() {
    let shop = Shop::open(&[]).await;
    for (body, status, says) in [
        ("", 400, "JSON"),
        ("{", 400, "JSON"),
        (r#"{"user":42}"#, 422, "amount_cents"),
        (r#"{"user":"me","amount_cents":1}"#, 422, "user"),
        (r#"{"user":42,"amount_cents":-1}"#, 422, "amount_cents"),
        (r#"{"user":42,"amount_cents":0}"#, 400, "amount_cents"),
        (
            r#"{"user":42,"amount_cents":100000001}"#,
            400,
            "amount_cents",
        ),
        (
            r#"{"user":42,"amount_cents":1,"currency":"EUR"}"#,
            422,
            "currency",
        ),
    ] {
        let said = shop.send(request(&[b"k"], body)).await;
        assert_eq!(said.status.as_u16(), status, "{body}: {}", said.json);
        assert!(said.detail().contains(says), "{body}: {}", said.detail());
        assert_eq!(said.headers["content-type"], "application/problem+json");
    }
    let large = json!({ "user": 42, "amount_cents": 1, "note": "x".repeat(5_000) }).to_string();
    let said = shop.send(request(&[b"k"], large)).await;
    assert_eq!(said.status, StatusCode::PAYLOAD_TOO_LARGE);

    let mut plain = request(&[b"k"], "{}");
    plain.headers_mut().remove("content-type");
    assert_eq!(
        shop.send(plain).await.status,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(shop.system.upstreams.payments.calls(), 0);
    assert_eq!(
        shop.get("/api/v1/payments/k").await.status,
        StatusCode::NOT_FOUND,
        "nothing was taken down"
    );
}

#[tokio::test]
async fn nobody_knows_of_a_payment_that_never_came() {
    let shop = Shop::open(&[]).await;
    assert_eq!(
        shop.get("/api/v1/payments/never").await.status,
        StatusCode::NOT_FOUND
    );
    for wrong in ["no%20key", "%ff"] {
        let said = shop.get(&format!("/api/v1/payments/{wrong}")).await;
        assert_eq!(said.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

/// A body that never comes.
struct Held;

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_does_not_arrive_is_not_waited_for() {
    let shop = Shop::open(&[]).await;
    let said = shop.send(request(&[b"k"], Body::new(Held))).await;
    assert_eq!(said.status, StatusCode::REQUEST_TIMEOUT, "{}", said.json);
    let unknown = shop.get("/api/v1/payments/k").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "it was never taken");
}
