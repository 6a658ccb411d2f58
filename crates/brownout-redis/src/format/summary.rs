//! Summaries of replicas.

use std::borrow::Cow;

use brownout_registry::fleet::{ReplicaId, Sick, StoreTime, Summary, limits};
use brownout_registry::{DegradationLevel, FeatureState, Status, SystemHealth};
use serde::{Deserialize, Serialize};

use super::{Fault, NOT_OURS, is_name, next, parts};

#[derive(Serialize, Deserialize)]
struct Text<'a> {
    #[serde(borrow)]
    level: Cow<'a, str>,
    #[serde(borrow)]
    health: Cow<'a, str>,
    dependencies: u32,
    #[serde(borrow)]
    sick: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    #[serde(borrow)]
    flags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// A summary, to be written.
pub(crate) fn summary_text(summary: &Summary) -> String {
    let sick = summary.sick.iter().take(limits::NAMED);
    let flags = summary.flags.iter().take(limits::NAMED);
    let text = Text {
        level: summary.level.as_str().into(),
        health: summary.health.as_str().into(),
        dependencies: summary.dependencies,
        sick: sick
            .map(|sick| ((&*sick.dependency).into(), sick.status.as_str().into()))
            .collect(),
        flags: flags
            .map(|(flag, state)| ((&**flag).into(), state.as_str().into()))
            .collect(),
    };
    serde_json::to_string(&text).unwrap_or_default()
}

/// What a replica has said of itself, and until when that counts.
pub(crate) fn summary(replica: &str, text: &str) -> Result<(Summary, StoreTime), Fault> {
    let mut parts = parts(text, 2)?;
    let until = StoreTime(next(&mut parts)?);
    let text: Text<'_> =
        serde_json::from_str(parts.next().unwrap_or_default()).map_err(|_| NOT_OURS)?;
    if text.sick.len() > limits::NAMED || text.flags.len() > limits::NAMED {
        return Err(Fault::Damaged("it names more than a summary may name"));
    }
    let sick = |(name, status): (Cow<'_, str>, Cow<'_, str>)| {
        Some(Sick {
            status: Status::from_name(&status)?,
            dependency: named(name)?,
        })
    };
    let flag = |(name, state): (Cow<'_, str>, Cow<'_, str>)| {
        Some((named(name)?, FeatureState::from_name(&state)?))
    };
    let sick: Option<_> = text.sick.into_iter().map(sick).collect();
    let flags: Option<_> = text.flags.into_iter().map(flag).collect();
    let summary = Summary {
        replica: ReplicaId::new(replica).map_err(|_| NOT_OURS)?,
        level: DegradationLevel::from_name(&text.level).ok_or(NOT_OURS)?,
        health: SystemHealth::from_name(&text.health).ok_or(NOT_OURS)?,
        dependencies: text.dependencies,
        sick: sick.ok_or(NOT_OURS)?,
        flags: flags.ok_or(NOT_OURS)?,
    };
    Ok((summary, until))
}

fn named(name: Cow<'_, str>) -> Option<std::sync::Arc<str>> {
    is_name(&name).then(|| name.into())
}
