//! What the services behind the shop know.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use crate::{
    account,
    catalogue::best_sellers,
    customer::{Profile, UserId, everybody},
};

type Customers = Arc<HashMap<UserId, Profile>>;

pub(super) fn recommendations() -> Router {
    Router::new().route("/recommendations", get(ranked))
}

pub(super) fn users() -> Router {
    let customers = everybody().map(|profile| (profile.id, profile)).collect();
    Router::new()
        .route("/users/{id}/profile", get(profile))
        .with_state(Customers::new(customers))
}

pub(super) fn orders() -> Router {
    let orders = async |Path(id): Path<UserId>| Json(account::past_orders(id));
    Router::new().route("/users/{id}/orders", get(orders))
}

pub(super) fn notifications() -> Router {
    let notifications = async |Path(id): Path<UserId>| Json(account::notifications(id));
    Router::new().route("/users/{id}/notifications", get(notifications))
}

pub(super) fn balance() -> Router {
    let balance = async |Path(id): Path<UserId>| Json(account::balance(id));
    Router::new().route("/users/{id}/balance", get(balance))
}

/// A model would rank for the customer who asks. This one has made up its mind.
async fn ranked() -> Json<Value> {
    let mut items = best_sellers();
    items.reverse();
    Json(json!({ "model": "ranker-7", "items": items }))
}

async fn profile(State(customers): State<Customers>, Path(id): Path<UserId>) -> Response {
    match customers.get(&id) {
        Some(profile) => Json(profile).into_response(),
        None => (
            StatusCode::NOT_FOUND,
            Json(json!({ "error": "no such customer" })),
        )
            .into_response(),
    }
}
