//! Values as tests write them.

use std::time::Duration;

use brownout_registry::fleet::{
    Change, Changes, Count, FleetStore, Message, Outcome, Picture, Quorum, ReplicaId, Rule,
    StackEntry, StackWrite, Stamp, StoreError, StoreErrorKind, StoreTime, Summary, Version,
};
use brownout_registry::{
    DegradationLevel, FeatureState, FleetOverrideId, OverrideValue, SystemHealth, Target,
};
use tokio::time::timeout;

const LONG: Duration = Duration::from_mins(1);

/// The tag of all stacks that tests write.
const TAG: u64 = 7;

pub(crate) fn replica(name: &str) -> ReplicaId {
    ReplicaId::new(name).unwrap()
}

/// So many, or all that live, however young the epoch is.
pub(crate) fn quorum(replicas: u32) -> Quorum {
    Quorum {
        replicas,
        fewer_after: Duration::ZERO,
    }
}

pub(crate) fn flag(name: &str) -> Target {
    Target::Flag(name.into())
}

/// A stack with entries of these ids, for a minute.
pub(crate) fn stack(target: Target, expected: Option<Version>, ids: &[u64]) -> StackWrite {
    let entry = |&id: &u64| StackEntry {
        id: FleetOverrideId::from_u64(id),
        value: OverrideValue::Flag(FeatureState::Degraded),
        actor: "ops".into(),
        reason: "drill".into(),
        set_at: StoreTime(1_000),
        until: StoreTime(2_000),
    };
    StackWrite {
        target,
        expected: expected.map(|version| Stamp { version, tag: TAG }),
        tag: TAG,
        entries: ids.iter().map(entry).collect(),
        keep: LONG,
    }
}

/// Writes one stack, which must succeed.
pub(crate) async fn written(store: &impl FleetStore, one: StackWrite) -> Version {
    match store.write(vec![one]).await.unwrap()[..] {
        [Outcome::Written(version)] => version,
        ref other => panic!("a write came to {other:?}"),
    }
}

pub(crate) fn ids(picture: &Picture, target: &Target) -> Option<Vec<u64>> {
    let found = picture
        .stacks
        .iter()
        .find(|stack| stack.target == *target)?;
    Some(
        found
            .entries
            .iter()
            .map(|entry| entry.id.as_u64())
            .collect(),
    )
}

/// The next message that is not a canary, which must be a change.
pub(crate) async fn change(changes: &mut impl Changes) -> (Version, Vec<Change>) {
    let told = timeout(Duration::from_secs(5), changes.next()).await;
    match told.expect("a message comes").unwrap() {
        Message::Changed {
            version, changes, ..
        } => (version, changes),
        other => panic!("a subscriber was told {other:?} in place of a change"),
    }
}

pub(crate) fn rule(errors: u32) -> Rule {
    Rule {
        errors,
        window: LONG,
        min_ratio_ppb: 0,
        ttl: LONG,
    }
}

pub(crate) fn count(flag: &str, successes: u64, failures: u64, rule: Rule) -> Count {
    Count {
        flag: flag.into(),
        successes,
        failures,
        rule,
    }
}

pub(crate) fn summary(name: &str) -> Summary {
    Summary {
        replica: replica(name),
        level: DegradationLevel::Full,
        health: SystemHealth::Healthy,
        dependencies: 3,
        sick: Vec::new(),
        flags: Vec::new(),
    }
}

pub(crate) fn kind<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> StoreErrorKind {
    result.as_ref().unwrap_err().kind()
}

/// What an error says to operators.
pub(crate) fn said<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    result.unwrap_err().private_detail().to_owned()
}
