//! What the services behind the shop know.

use axum::{
    Json, Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

/// The customers that there are: 1 to this number.
const CUSTOMERS: u64 = 10_000;

pub(super) fn recommendations() -> Router {
    Router::new().route("/recommendations", get(ranked))
}

pub(super) fn users() -> Router {
    Router::new().route("/users/{id}/profile", get(profile))
}

async fn ranked() -> Json<Value> {
    Json(json!({
        "model": "ranker-7",
        "items": [
            { "sku": "tea-assam-250", "title": "Assam tea, 250 g", "score": 0.93 },
            { "sku": "pot-cast-iron", "title": "Cast-iron teapot", "score": 0.88 },
            { "sku": "cup-stoneware", "title": "Stoneware cup", "score": 0.71 },
        ],
    }))
}

async fn profile(Path(id): Path<u64>) -> Response {
    if !(1..=CUSTOMERS).contains(&id) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let tier = if id % 10 == 0 { "gold" } else { "standard" };
    Json(json!({ "id": id, "tier": tier, "language": "en", "newsletter": id % 2 == 0 }))
        .into_response()
}
