//! A decision as an operator writes it, and what of it this shop can do.

use std::time::Duration;

use axum::http::StatusCode;
use brownout::{
    Dependency,
    registry::{
        CircuitMode, DegradationLevel, FeatureState, InvalidName, Order, OverrideValue, Status,
        Target,
    },
};
use serde::Deserialize;
use serde_json::Value;

use super::bad;
use crate::{problem::Problem, system::System};

/// What is decided, by whom, why, and for how long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    /// Of any type, so that a number is refused as a wrong text is: with what the target takes.
    value: Value,
    actor: String,
    reason: String,
    /// As in `15m`.
    ttl: String,
    /// For whom: this replica, unless it says otherwise.
    #[serde(default)]
    pub(super) scope: For,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum For {
    #[default]
    Replica,
    Fleet,
}

impl Decision {
    pub(super) fn value(&self, target: &Target) -> Result<OverrideValue, Problem> {
        let named = |name| OverrideValue::named(target, name);
        let value = self.value.as_str().and_then(named);
        value.ok_or_else(|| does_not_take(target, &self.value))
    }

    pub(super) fn order(self) -> Result<Order, Problem> {
        let ttl: Duration = humantime::parse_duration(&self.ttl)
            .map_err(|_| bad("the ttl is a time, as in \"ttl\": \"15m\""))?;
        Ok(Order::new(self.actor, self.reason, ttl))
    }
}

/// A target that this shop has. The registry would take any name; a person who mistypes one should hear it.
pub(super) fn known(system: &System, target: &str) -> Result<Target, Problem> {
    let target: Target = target
        .parse()
        .map_err(|wrong: InvalidName| bad(wrong.to_string()))?;
    let is_known = match &target {
        Target::Flag(name) => **name == *system.ml_recommendations.name(),
        Target::Status(name) | Target::Circuit(name) => system.registry.get(name).is_some(),
        _ => true,
    };
    if is_known {
        Ok(target)
    } else {
        Err(unknown(system, &target))
    }
}

pub(super) fn unknown(system: &System, target: &Target) -> Problem {
    let dependencies = system.registry.dependencies();
    let names: Vec<_> = dependencies.iter().map(Dependency::name).collect();
    let detail = format!(
        "there is no {target}; the flag is {}, and the dependencies are {}",
        system.ml_recommendations.name(),
        names.join(", ")
    );
    Problem::new(StatusCode::NOT_FOUND, detail)
}

fn does_not_take(target: &Target, value: &Value) -> Problem {
    let (value, allowed) = (short(&value.to_string()), values(target).join(", "));
    bad(format!(
        "{target} does not take {value}; it takes {allowed}"
    ))
}

/// Enough of a text to know it by.
fn short(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
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
