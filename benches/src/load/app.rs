//! The service under load: one axum route, bare, with a timeout, and with everything around it.

use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use brownout::breaker::{Circuit, CircuitBreakerLayer};
use brownout::fallback::FallbackLayer;
use brownout::flag::{FlagLayer, Flags};
use brownout::report::{DegradedLayer, HealthLayer};
use brownout_registry::Registry;
use http::StatusCode;
use tower::ServiceBuilder;
use tower_http::timeout::TimeoutLayer;

use crate::subjects::backend::configured;

/// A route whose handler answers five bytes at once: nothing hides what stands in front of it.
pub fn bare() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// The same route with the one layer of the stack that is not ours.
pub fn with_timeout() -> Router {
    bare().layer(timeout())
}

/// The same route with the whole stack, everything at its default: health paths, collected marks, and the four layers
/// that guard a dependency, with their HTTP strategies.
pub fn whole() -> Router {
    // A seed, so that every process makes the same choices.
    let registry = configured(Registry::builder().seed(1).build());
    let inventory = configured(registry.dependency("inventory").register());
    let flag = configured(Flags::new(&registry).flag("recommendations"));
    let chain = FallbackLayer::for_http()
        .covering(&inventory)
        .last("seven", |_| async { "seven".into_response() });
    bare().layer(
        ServiceBuilder::new()
            .layer(HealthLayer::new(&registry))
            .layer(DegradedLayer::new())
            .layer(configured(chain))
            .layer(FlagLayer::for_http(flag))
            .layer(CircuitBreakerLayer::with(Circuit::new(&inventory)).for_http())
            .layer(timeout()),
    )
}

// It answers 504 and fails with nothing, so it goes onto a route as it is.
fn timeout() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(1))
}
