//! `GET /fleet`: the fleet as this replica sees it.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use brownout::registry::fleet::{FleetView, StoreErrorKind, Summary};
use serde::Serialize;

use crate::{orders::fleet, problem::Problem, system::System};

#[derive(Debug, Serialize)]
pub(crate) struct View {
    replica: String,
    /// Whether this replica holds what the store does.
    in_touch: bool,
    /// Why not, in a word.
    trouble: Option<&'static str>,
    /// How long ago it last knew that it does.
    sync_age_ms: u128,
    /// How many replicas live.
    live: u32,
    replicas: Vec<Said>,
}

/// What a replica says of itself.
#[derive(Debug, Serialize)]
struct Said {
    replica: String,
    level: &'static str,
    health: &'static str,
    sick: BTreeMap<String, &'static str>,
    flags: BTreeMap<String, &'static str>,
}

pub(crate) async fn view(State(system): State<Arc<System>>) -> Result<Json<View>, Problem> {
    Ok(Json(View::from(&fleet(&system)?.view())))
}

impl From<&FleetView> for View {
    fn from(view: &FleetView) -> Self {
        let summaries = view.replicas.iter().map(|replica| &replica.summary);
        Self {
            replica: view.replica.to_string(),
            in_touch: view.in_touch,
            trouble: view.trouble.map(StoreErrorKind::as_str),
            sync_age_ms: view.sync_age.as_millis(),
            live: view.live,
            replicas: summaries.map(Said::from).collect(),
        }
    }
}

impl From<&Summary> for Said {
    fn from(summary: &Summary) -> Self {
        let sick = summary.sick.iter();
        let flags = summary.flags.iter();
        Self {
            replica: summary.replica.to_string(),
            level: summary.level.as_str(),
            health: summary.health.as_str(),
            sick: sick
                .map(|sick| (sick.dependency.to_string(), sick.status.as_str()))
                .collect(),
            flags: flags
                .map(|(flag, state)| (flag.to_string(), state.as_str()))
                .collect(),
        }
    }
}
