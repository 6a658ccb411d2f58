//! What operators decide, on the control server: overrides, of this replica or of its whole fleet.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
    routing::{get, put},
};
use brownout::{
    Dependency,
    registry::{
        CircuitMode, DegradationLevel, FeatureState, InvalidName, Order, OverrideError, OverrideId,
        OverrideInfo, OverrideValue, Scope, Status, Target,
        fleet::{Fleet, FleetError},
    },
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{problem::Problem, system::System};

/// What is decided, by whom, why, and for how long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    value: String,
    actor: String,
    reason: String,
    /// As in `15m`.
    ttl: String,
    /// For whom: this replica, unless it says otherwise.
    #[serde(default)]
    scope: For,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum For {
    #[default]
    Replica,
    Fleet,
}

/// An override in force, as this replica knows it.
#[derive(Debug, Serialize)]
struct Shown {
    /// By which it is released here.
    id: u64,
    target: String,
    value: &'static str,
    scope: &'static str,
    /// Its name in the fleet, where it is the fleet's.
    fleet_id: Option<u64>,
    actor: String,
    reason: String,
    ends_in_s: u64,
    /// Whether it counts: a newer one of its target, or one of this replica's own, may count before it.
    effective: bool,
}

/// What was set: an override of this replica has an id at once; the fleet's one is found by its name.
#[derive(Debug, Serialize)]
struct Done {
    id: Option<u64>,
    fleet_id: Option<u64>,
}

/// `GET /overrides` lists them, `PUT /overrides/{target}` sets one, `DELETE /overrides/{id}` releases one. The target is
/// `flag:<name>`, `status:<dependency>`, `circuit:<dependency>` or `level`.
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
    let value = OverrideValue::named(&target, &decision.value).ok_or_else(|| {
        let allowed = values(&target).join(", ");
        bad(format!("{target} takes {allowed}"))
    })?;
    let ttl: Duration = humantime::parse_duration(&decision.ttl)
        .map_err(|_| bad("the ttl is a time, as in \"ttl\": \"15m\""))?;
    let order = Order::new(decision.actor, decision.reason, ttl);
    let done = match decision.scope {
        For::Replica => {
            let id = here(&system, &target, value, order).map_err(|error| refused(&error))?;
            Done {
                id: Some(id.as_u64()),
                fleet_id: None,
            }
        }
        For::Fleet => {
            let set = fleet(&system)?.set(target, value, order).await;
            Done {
                id: None,
                fleet_id: Some(set.map_err(|error| refused_by_fleet(&error))?.as_u64()),
            }
        }
    };
    Ok((StatusCode::CREATED, Json(done)))
}

async fn release(
    State(system): State<Arc<System>>,
    Path(id): Path<u64>,
) -> Result<StatusCode, Problem> {
    let overrides = system.registry.overrides();
    let Some(found) = overrides.iter().find(|one| one.id.as_u64() == id) else {
        let detail = "no such override is in force; GET /overrides lists those that are";
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

/// A target that this shop has. The registry would take any name; a person who mistypes one should hear it.
fn known(system: &System, target: &str) -> Result<Target, Problem> {
    let target: Target = target
        .parse()
        .map_err(|wrong: InvalidName| bad(wrong.to_string()))?;
    let is_known = match &target {
        Target::Flag(name) => **name == *system.ml_recommendations.name(),
        Target::Status(name) | Target::Circuit(name) => system.registry.get(name).is_some(),
        _ => true,
    };
    if is_known {
        return Ok(target);
    }
    let dependencies = system.registry.dependencies();
    let names: Vec<_> = dependencies.iter().map(Dependency::name).collect();
    let detail = format!(
        "there is no {target}; the flag is {}, and the dependencies are {}",
        system.ml_recommendations.name(),
        names.join(", ")
    );
    Err(Problem::new(StatusCode::NOT_FOUND, detail))
}

fn here(
    system: &System,
    target: &Target,
    value: OverrideValue,
    order: Order,
) -> Result<OverrideId, OverrideError> {
    let registry = &system.registry;
    let dependency = target.name().and_then(|name| registry.get(name));
    match (value, dependency) {
        (OverrideValue::Level(level), _) => registry.override_level(level, order),
        (OverrideValue::Status(status), Some(on)) => on.override_status(status, order),
        (OverrideValue::Circuit(mode), Some(on)) => on.override_circuit(mode, order),
        (OverrideValue::Flag(state), _) => {
            registry.override_flag(target.name().unwrap_or_default(), state, order)
        }
        _ => Err(OverrideError::InvalidTarget {
            allowed: "what this shop has",
        }),
    }
}

fn values(target: &Target) -> Vec<&'static str> {
    match target {
        Target::Status(_) => Status::ALL.iter().map(|value| value.as_str()).collect(),
        Target::Circuit(_) => CircuitMode::ALL
            .iter()
            .map(|value| value.as_str())
            .collect(),
        Target::Flag(_) => FeatureState::ALL
            .iter()
            .map(|value| value.as_str())
            .collect(),
        _ => DegradationLevel::ALL
            .iter()
            .map(|value| value.as_str())
            .collect(),
    }
}

fn shown(info: &OverrideInfo) -> Shown {
    Shown {
        id: info.id.as_u64(),
        target: info.target.to_string(),
        value: info.value.as_str(),
        scope: info.scope.as_str(),
        fleet_id: match info.scope {
            Scope::Fleet(id) => Some(id.as_u64()),
            _ => None,
        },
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
