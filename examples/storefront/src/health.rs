//! `GET /health`: what the registry knows, in words for anybody.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use brownout::{
    Registry,
    registry::{DependencyView, Snapshot, SystemHealth},
};
use serde::Serialize;

/// Everything here is public: dependencies by their public names, and none of what their reporters say.
#[derive(Debug, Serialize)]
struct Overview {
    health: &'static str,
    level: &'static str,
    dependencies: Vec<DependencyHealth>,
}

#[derive(Debug, Serialize)]
struct DependencyHealth {
    name: String,
    status: &'static str,
    since: String,
    affects: Vec<String>,
}

/// Reads memory and asks nobody, so that it answers however badly things stand.
pub(crate) async fn health(State(registry): State<Registry>) -> impl IntoResponse {
    let snapshot = registry.snapshot();
    let status = match snapshot.health {
        SystemHealth::Critical => StatusCode::SERVICE_UNAVAILABLE,
        SystemHealth::Healthy | SystemHealth::Degraded => StatusCode::OK,
    };
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (status, headers, Json(Overview::of(&snapshot)))
}

impl Overview {
    fn of(snapshot: &Snapshot) -> Self {
        let dependencies = snapshot.dependencies.iter();
        Self {
            health: snapshot.health.as_str(),
            level: snapshot.level.as_str(),
            dependencies: dependencies
                .filter_map(|view| DependencyHealth::of(view))
                .collect(),
        }
    }
}

impl DependencyHealth {
    /// Nothing for a dependency that strangers have no name for.
    fn of(view: &DependencyView) -> Option<Self> {
        Some(Self {
            name: view.public_name.as_deref()?.to_owned(),
            status: view.status.as_str(),
            since: humantime::format_rfc3339_seconds(view.since.wall).to_string(),
            affects: view.affects.iter().map(ToString::to_string).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use brownout::registry::{Report, ReporterKind};
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn strangers_see_public_names_and_no_details() {
        let registry = Registry::new();
        let ledger = registry
            .dependency("ledger-eu-1")
            .public_name("payments")
            .affects(["/checkout"])
            .register()
            .unwrap();
        registry.dependency("internal").register().unwrap();
        let reporter = ledger.reporter(ReporterKind::Code, "ledger");
        reporter.report(Report::unhealthy("down").detail("10.0.0.7 refused"));

        let seen = serde_json::to_value(Overview::of(&registry.snapshot())).unwrap();
        let dependencies = seen["dependencies"].as_array().unwrap();
        assert_eq!(seen["level"], "reduced");
        assert_eq!(dependencies.len(), 1, "{seen}");
        assert_eq!(dependencies[0]["name"], "payments");
        assert_eq!(dependencies[0]["status"], "unhealthy");
        assert_eq!(dependencies[0]["affects"], json!(["/checkout"]));
        let text = seen.to_string();
        assert!(
            !text.contains("ledger") && !text.contains("10.0.0.7"),
            "{text}"
        );
    }
}
