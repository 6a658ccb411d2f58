//! The shop: what its customers can ask for.

mod dashboard;
mod parts;
mod payments;
mod profile;
mod recommendations;

#[cfg(test)]
mod tests;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    response::Html,
    routing::{get, post},
};
use brownout::report::DegradedLayer;

pub(crate) use self::{
    dashboard::Dashboard, payments::Till, profile::Profiles, recommendations::Recommender,
};
use crate::{health, problem::Problem, settings::Safeguard, system::System};

const INDEX: &str = include_str!("index.html");
/// An order is a line of JSON.
const MAX_ORDER: usize = 4 * 1024;

/// The shop over a running system: its routes, behind what tells of their answers and of the shop itself.
pub(crate) fn router(system: &System) -> Router {
    let mut app = routes(system);
    // The last is the first that sees a request.
    if system.safeguards.has(Safeguard::Degraded) {
        app = app.layer(DegradedLayer::new());
    }
    if system.safeguards.has(Safeguard::Health) {
        app = app.layer(health::for_strangers(system));
    }
    app
}

fn routes(system: &System) -> Router {
    Router::new()
        .route(
            "/api/v1/recommendations",
            get(recommendations::recommendations).with_state(system.recommender.clone()),
        )
        .route("/api/v1/dashboard", system.dashboard.0.clone())
        .route(
            "/api/v1/users/{id}/profile",
            get(profile::profile).with_state(system.profiles.clone()),
        )
        .route(
            "/api/v1/payments",
            post(payments::pay)
                .layer(DefaultBodyLimit::max(MAX_ORDER))
                .with_state(system.till.clone()),
        )
        .route(
            "/api/v1/payments/{key}",
            get(payments::state).with_state(system.till.clone()),
        )
        .route("/", get(async || Html(INDEX)))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
}

async fn unknown_path(uri: Uri) -> Problem {
    let detail = format!(
        "there is nothing at {}; see / for what there is",
        uri.path()
    );
    Problem::new(StatusCode::NOT_FOUND, detail)
}

async fn wrong_method(method: Method) -> Problem {
    let detail = format!(
        "{method} is not possible here; see / for what is. The Allow header says what is possible"
    );
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
