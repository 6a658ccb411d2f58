//! What the checks have in common.

use std::cell::Cell;
use std::time::Duration;

use brownout_registry::fleet::{
    Change, Changes, Count, FleetStore, Message, Outcome, Picture, Quorum, ReplicaId, Rule,
    StackEntry, StackWrite, Stamp, StoreError, StoreTime, Summary, Version,
};
use brownout_registry::{
    DegradationLevel, FeatureState, FleetOverrideId, OverrideValue, SystemHealth, Target,
};
use tokio::time::timeout;

/// Makes accesses, to a namespace of its own for each check.
pub(super) struct Rig<M> {
    make: M,
    namespaces: Cell<u32>,
}

/// One namespace.
pub(super) struct Namespace<'a, M> {
    rig: &'a Rig<M>,
    name: String,
}

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for what must not come.
const SILENCE: Duration = Duration::from_millis(200);

/// A minute, for what shall not end during a check.
pub(super) const LONG: Duration = Duration::new(60, 0);

impl<M, S> Rig<M>
where
    M: AsyncFn(&str) -> S,
    S: FleetStore,
{
    pub(super) fn new(make: M) -> Self {
        Self {
            make,
            namespaces: Cell::new(0),
        }
    }

    pub(super) fn namespace(&self) -> Namespace<'_, M> {
        self.namespaces.set(self.namespaces.get() + 1);
        Namespace {
            rig: self,
            name: format!("conformance-{}", self.namespaces.get()),
        }
    }

    /// One access to a namespace of its own.
    pub(super) async fn store(&self) -> S {
        self.namespace().store().await
    }
}

impl<M, S> Namespace<'_, M>
where
    M: AsyncFn(&str) -> S,
    S: FleetStore,
{
    pub(super) async fn store(&self) -> S {
        (self.rig.make)(&self.name).await
    }
}

/// What comes of an operation that must succeed.
pub(super) async fn done<T>(what: &str, run: impl Future<Output = Result<T, StoreError>>) -> T {
    match timeout(PATIENCE, run).await {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => panic!("{what} failed: {error}"),
        Err(elapsed) => panic!("{what} has not ended within {PATIENCE:?}: {elapsed}"),
    }
}

pub(super) async fn picture(store: &impl FleetStore) -> Picture {
    let picture = done("picture", store.picture()).await;
    assert_eq!(
        picture.damage, None,
        "what a store wrote itself is not damaged"
    );
    picture
}

pub(super) async fn write(store: &impl FleetStore, writes: Vec<StackWrite>) -> Vec<Outcome> {
    let asked = writes.len();
    let outcomes = done("write", store.write(writes)).await;
    assert_eq!(outcomes.len(), asked, "each write has an outcome");
    outcomes
}

/// Writes one stack, which must succeed.
pub(super) async fn written(store: &impl FleetStore, one: StackWrite) -> Version {
    match write(store, vec![one.clone()]).await[..] {
        [Outcome::Written(version)] => version,
        ref other => panic!("a write over what was expected came to {other:?}: {one:?}"),
    }
}

pub(super) async fn refused(store: &impl FleetStore, one: StackWrite, why: &str) {
    let outcomes = write(store, vec![one]).await;
    assert_eq!(outcomes, [Outcome::Stale], "{why}");
}

pub(super) async fn subscribe<S: FleetStore>(store: &S, name: &str) -> S::Changes {
    done("subscribe", store.subscribe(&replica(name))).await
}

/// The next message, which must be a change.
pub(super) async fn change(changes: &mut impl Changes) -> (Version, Vec<Change>) {
    match done("the next message", changes.next()).await {
        Message::Changed {
            version, changes, ..
        } => (version, changes),
        other => panic!("a subscriber was told {other:?} in place of a change"),
    }
}

pub(super) async fn nothing_is_told(changes: &mut impl Changes, why: &str) {
    if let Ok(told) = timeout(SILENCE, changes.next()).await {
        panic!("{why}, but subscribers were told {told:?}");
    }
}

pub(super) fn replica(name: &str) -> ReplicaId {
    ReplicaId::new(name).expect("the suite's names are valid")
}

pub(super) fn flag(name: &str) -> Target {
    Target::Flag(name.into())
}

pub(super) fn entry(id: u64) -> StackEntry {
    StackEntry {
        id: FleetOverrideId::from_u64(id),
        value: OverrideValue::Flag(FeatureState::Degraded),
        actor: "ops".into(),
        reason: "drill".into(),
        set_at: StoreTime(1_000),
        until: StoreTime(2_000),
    }
}

/// The tag of all stacks that are written here, but where tags matter.
const TAG: u64 = 7;

/// What a stack that was written here is told from others by.
pub(super) fn stamp(version: Version) -> Stamp {
    Stamp { version, tag: TAG }
}

/// Writes entries of these ids for a minute.
pub(super) fn stack(target: Target, expected: Option<Version>, ids: &[u64]) -> StackWrite {
    StackWrite {
        target,
        expected: expected.map(stamp),
        tag: TAG,
        entries: ids.iter().map(|&id| entry(id)).collect(),
        keep: LONG,
    }
}

pub(super) fn ids(picture: &Picture, target: &Target) -> Option<Vec<u64>> {
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

pub(super) fn rule(errors: u32) -> Rule {
    Rule {
        errors,
        window: LONG,
        min_ratio_ppb: 0,
        ttl: LONG,
    }
}

pub(super) fn count(flag: &str, successes: u64, failures: u64, rule: Rule) -> Count {
    Count {
        flag: flag.into(),
        successes,
        failures,
        rule,
    }
}

pub(super) fn summary(name: &str) -> Summary {
    Summary {
        replica: replica(name),
        level: DegradationLevel::Full,
        health: SystemHealth::Healthy,
        dependencies: 3,
        sick: Vec::new(),
        flags: Vec::new(),
    }
}

/// Lets replicas of these names live for a minute.
pub(super) async fn alive(store: &impl FleetStore, names: &[&str]) {
    for name in names {
        done("report", store.report(summary(name), LONG)).await;
    }
}

/// So many, or all that live, however young the epoch is.
pub(super) fn quorum(replicas: u32) -> Quorum {
    Quorum {
        replicas,
        fewer_after: Duration::ZERO,
    }
}

/// Counts as a replica, with this quorum.
pub(super) async fn counted(store: &impl FleetStore, name: &str, replicas: u32, one: Count) {
    let quorum = quorum(replicas);
    done("count", store.count(&replica(name), quorum, vec![one])).await;
}

pub(super) async fn is_tripped(store: &impl FleetStore, flag: &str) -> bool {
    let picture = picture(store).await;
    picture.trips.iter().any(|trip| &*trip.flag == flag)
}
