//! What operators decide, on the control server: overrides, of this replica or of its whole fleet.

mod decision;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
    routing::{get, put},
};
use brownout::registry::{
    Order, OverrideError, OverrideId, OverrideInfo, OverrideValue, Scope, Target,
    fleet::{Fleet, FleetError},
};
use serde::Serialize;
use tokio::time::Instant;

use self::decision::{Decision, For, known, unknown};
use crate::{problem::Problem, system::System};

/// An override in force, as this replica knows it.
#[derive(Debug, Serialize)]
struct Shown {
    /// By which it is released.
    id: String,
    target: String,
    value: &'static str,
    scope: &'static str,
    /// The same, where it is the fleet's.
    fleet_id: Option<String>,
    actor: String,
    reason: String,
    ends_in_s: u64,
    /// Whether it counts: a newer one of its target, or one of this replica's own, may count before it.
    effective: bool,
}

/// What was set, and by which id it is released. Ids are texts: the fleet's are random numbers of 64 bits, and many
/// programs read a number of JSON as a double (RFC 8259, section 6), which keeps 53.
#[derive(Debug, Serialize)]
struct Done {
    id: String,
    fleet_id: Option<String>,
}

/// `GET /overrides` lists them, `PUT /overrides/{target}` sets one, `DELETE /overrides/{id}` releases one. The target is
/// `flag:<name>`, `status:<dependency>`, `circuit:<dependency>` or `level`. A fleet's override has one id at all replicas.
pub(crate) fn router(system: &Arc<System>) -> Router {
    Router::new()
        .route("/overrides", get(list))
        .route("/overrides/{target}", put(set).delete(release))
        .with_state(Arc::clone(system))
}

async fn list(State(system): State<Arc<System>>) -> Json<Vec<Shown>> {
    Json(system.registry.overrides().iter().map(shown).collect())
}

async fn set(
    State(system): State<Arc<System>>,
    Path(target): Path<String>,
    decision: Result<Json<Decision>, JsonRejection>,
) -> Result<(StatusCode, Json<Done>), Problem> {
    let Json(decision) = decision.map_err(|wrong| bad(wrong.body_text()))?;
    let target = known(&system, &target)?;
    let (value, scope) = (decision.value(&target)?, decision.scope);
    let order = decision.order()?;
    let done = match scope {
        For::Replica => {
            let id = here(&system, &target, value, order)?;
            Done {
                id: id.to_string(),
                fleet_id: None,
            }
        }
        For::Fleet => {
            let set = fleet(&system)?.set(target, value, order).await;
            let id = set.map_err(|error| refused_by_fleet(&error))?.to_string();
            Done {
                fleet_id: Some(id.clone()),
                id,
            }
        }
    };
    Ok((StatusCode::CREATED, Json(done)))
}

async fn release(
    State(system): State<Arc<System>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let overrides = system.registry.overrides();
    let Some(found) = overrides.iter().find(|one| id_of(one) == id) else {
        let detail = "no override of that id is in force; GET /overrides lists those that are";
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    match found.scope {
        Scope::Fleet(id) => fleet(&system)?
            .release(found.target.clone(), id)
            .await
            .map_err(|error| refused_by_fleet(&error))?,
        _ => system
            .registry
            .release(found.id)
            .map_err(|error| refused(&error))?,
    }
    Ok(StatusCode::NO_CONTENT)
}

fn here(
    system: &System,
    target: &Target,
    value: OverrideValue,
    order: Order,
) -> Result<OverrideId, Problem> {
    let registry = &system.registry;
    let dependency = target.name().and_then(|name| registry.get(name));
    let set = match (value, dependency) {
        (OverrideValue::Level(level), _) => registry.override_level(level, order),
        (OverrideValue::Status(status), Some(on)) => on.override_status(status, order),
        (OverrideValue::Circuit(mode), Some(on)) => on.override_circuit(mode, order),
        (OverrideValue::Flag(state), _) => {
            registry.override_flag(target.name().unwrap_or_default(), state, order)
        }
        _ => return Err(unknown(system, target)),
    };
    set.map_err(|error| refused(&error))
}

fn shown(info: &OverrideInfo) -> Shown {
    Shown {
        id: id_of(info),
        target: info.target.to_string(),
        value: info.value.as_str(),
        scope: info.scope.as_str(),
        fleet_id: matches!(info.scope, Scope::Fleet(_)).then(|| id_of(info)),
        actor: info.actor.to_string(),
        reason: info.reason.to_string(),
        ends_in_s: info
            .until
            .at
            .saturating_duration_since(Instant::now())
            .as_secs(),
        effective: info.effective,
    }
}

/// By which an override is released at any replica that has it.
fn id_of(info: &OverrideInfo) -> String {
    match info.scope {
        Scope::Fleet(id) => id.to_string(),
        _ => info.id.to_string(),
    }
}

/// The fleet that this shop has joined.
pub(crate) fn fleet(system: &System) -> Result<Fleet, Problem> {
    system.registry.fleet().ok_or_else(|| {
        let detail = "this shop is in no fleet; start it with --redis URL";
        Problem::new(StatusCode::CONFLICT, detail)
    })
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

fn refused(error: &OverrideError) -> Problem {
    let status = match error {
        OverrideError::TooMany { .. } | OverrideError::NotActive { .. } => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
    };
    Problem::new(status, error.to_string())
}

fn refused_by_fleet(error: &FleetError) -> Problem {
    let status = match error {
        FleetError::Invalid(error) => return refused(error),
        FleetError::Stale { .. } | FleetError::NotActive { .. } => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Problem::new(status, error.to_string())
}
