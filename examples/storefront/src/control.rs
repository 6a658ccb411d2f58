//! The server on which faults are switched.
//!
//! It stands apart from the services, so that a service whose port is closed can be told to open it again. It is for
//! operators, who may know how everything is: it listens on loopback alone, and [nobody else's name](local::only) leads
//! here. Faults are set with PUT, which no web page of another origin can send without being asked first.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    middleware::from_fn,
    routing::{get, put},
};
use serde::Serialize;

use crate::{
    health, local, orders,
    problem::Problem,
    scrape::metrics,
    settings::Safeguard,
    system::System,
    upstream::{Fault, UnknownFault, Upstream},
    view,
};

/// A service, as the control server shows it.
#[derive(Debug, Serialize)]
struct Report {
    name: &'static str,
    fault: String,
    address: String,
    calls: u64,
}

/// `GET /` says what is broken, `PUT /{service}` breaks and mends, and the health paths and `/metrics` say all that is
/// known; [overrides](orders) are set, and the [fleet](view) is shown.
pub(crate) fn router(system: &Arc<System>) -> Router {
    let mut app = Router::new()
        .route("/", get(list))
        .route("/{service}", put(switch))
        .route("/fleet", get(view::view))
        .with_state(Arc::clone(system))
        .merge(orders::router(system));
    if let Some(scrape) = &system.scrape {
        app = app.route("/metrics", get(metrics).with_state(scrape.clone()));
    }
    if system.safeguards.has(Safeguard::Health) {
        app = app.layer(health::for_operators(system));
    }
    app.layer(from_fn(local::only))
}

async fn list(State(system): State<Arc<System>>) -> Json<Vec<Report>> {
    Json(system.upstreams.all().into_iter().map(report).collect())
}

async fn switch(
    State(system): State<Arc<System>>,
    Path(service): Path<String>,
    fault: String,
) -> Result<Json<Report>, Problem> {
    let Some(upstream) = system.upstreams.named(&service) else {
        let known = system.upstreams.all().map(Upstream::name).join(", ");
        let detail = format!("there is no service of that name; there are: {known}");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    let fault: Fault = fault.parse().map_err(|unknown: UnknownFault| {
        Problem::new(StatusCode::BAD_REQUEST, unknown.to_string())
    })?;
    if fault == Fault::HangAfterCharge && upstream.name() != system.upstreams.payments.name() {
        let detail =
            format!("{service} charges nobody, so it cannot hang after a charge; payments can");
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    upstream.set_fault(fault).await.map_err(|error| {
        let detail = format!("the port of {service} could not be switched: {error}; try again");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    tracing::info!(service, %fault, "fault set");
    Ok(Json(report(upstream)))
}

fn report(upstream: &Upstream) -> Report {
    Report {
        name: upstream.name(),
        fault: upstream.fault().to_string(),
        address: upstream.address().to_string(),
        calls: upstream.calls(),
    }
}
