//! The payment service: it charges, once a key.

mod ledger;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::json;

use self::ledger::Entered;
pub(crate) use self::ledger::Ledger;
use crate::payment::{Key, Order, Payment};

/// `POST /charges` with an `Idempotency-Key`: 201 for a charge, 200 for one that was made before, 422 where the key
/// belongs to another.
pub(super) fn routes(ledger: Arc<Ledger>) -> Router {
    Router::new()
        .route("/charges", post(charge))
        .with_state(ledger)
}

async fn charge(
    State(ledger): State<Arc<Ledger>>,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Response {
    let key = headers.get(Key::HEADER).and_then(|key| key.to_str().ok());
    let Some(Ok(key)) = key.map(str::parse) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (status, number) = match ledger.enter(Payment { key, order }) {
        Entered::Now(number) => (StatusCode::CREATED, number),
        Entered::Before(number) => (StatusCode::OK, number),
        Entered::KeyReused => return StatusCode::UNPROCESSABLE_ENTITY.into_response(),
        Entered::Full => return StatusCode::INSUFFICIENT_STORAGE.into_response(),
    };
    (status, Json(json!({ "charge": number }))).into_response()
}
