//! The shop: what its customers can ask for.

mod relay;

#[cfg(test)]
mod tests;

use axum::{
    Router,
    extract::{Path, State},
    http::{Method, StatusCode, Uri},
    response::{Html, IntoResponse, Response},
    routing::get,
};

use self::relay::relay;
use crate::{
    health::health,
    problem::Problem,
    system::{Backends, System},
};

const INDEX: &str = include_str!("index.html");

/// The shop's routes over a running system.
pub(crate) fn router(system: &System) -> Router {
    Router::new()
        .route("/api/v1/recommendations", get(recommendations))
        .route("/api/v1/users/{id}/profile", get(profile))
        .with_state(system.backends.clone())
        .route("/health", get(health).with_state(system.registry.clone()))
        .route("/", get(async || Html(INDEX)))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
}

async fn recommendations(State(backends): State<Backends>) -> Response {
    relay(&backends.recommendations, "/recommendations").await
}

async fn profile(State(backends): State<Backends>, Path(id): Path<String>) -> Response {
    // Read as text first: the answer to a wrong id should not be in the words of a parser.
    match id.parse::<u64>() {
        Ok(id) => relay(&backends.users, &format!("/users/{id}/profile")).await,
        Err(_) => Problem::new(
            StatusCode::BAD_REQUEST,
            "the user id must be a whole number, as in /api/v1/users/42/profile",
        )
        .into_response(),
    }
}

async fn unknown_path(uri: Uri) -> Problem {
    let detail = format!(
        "there is nothing at {}; see / for what there is",
        uri.path()
    );
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn wrong_method(method: Method) -> Problem {
    let detail = format!("{method} is not possible here; everything in this shop is read with GET");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
