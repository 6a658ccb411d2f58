//! Stacks of overrides: compare-and-set, revisions, ends.

use std::sync::Arc;
use std::time::Duration;

use brownout_registry::fleet::{
    FleetStore, Outcome, StackEntry, StackWrite, Stamp, StoreTime, Version, limits,
};
use brownout_registry::{
    CircuitMode, DegradationLevel, FeatureState, FleetOverrideId, OverrideValue, Status, Target,
};
use tokio::time::{sleep, timeout};

use super::rig::{
    LONG, Rig, done, flag, ids, nothing_is_told, picture, refused, stack, subscribe, write, written,
};

pub(super) async fn an_empty_namespace_has_an_epoch_and_nothing_in_it<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let namespace = rig.namespace();
    let first = picture(&namespace.store().await).await;
    let again = picture(&namespace.store().await).await;
    assert_ne!(first.version.epoch, 0, "no epoch has the number 0");
    assert_eq!(first.version.revision, 0, "nothing was written");
    assert!(first.stacks.is_empty() && first.trips.is_empty());
    assert_eq!(first.version, again.version, "an epoch lasts");
}

pub(super) async fn a_stack_is_written_only_over_the_version_that_was_expected<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    let target = flag("search");
    let first = written(&store, stack(target.clone(), None, &[1])).await;
    assert_eq!(first.revision, 1, "the first write is the first revision");
    let epoch = picture(&store).await.version.epoch;
    assert_eq!(first.epoch, epoch, "a version names the epoch");

    refused(
        &store,
        stack(target.clone(), None, &[2]),
        "there is one already",
    )
    .await;
    let second = written(&store, stack(target.clone(), Some(first), &[1, 2])).await;
    assert_eq!(
        second.revision, 2,
        "a write that is refused takes no revision"
    );
    refused(
        &store,
        stack(target.clone(), Some(first), &[3]),
        "that one is replaced",
    )
    .await;
    let other = Version {
        epoch: second.epoch + 1,
        ..second
    };
    refused(
        &store,
        stack(target.clone(), Some(other), &[3]),
        "of another epoch",
    )
    .await;
    let gone = stack(flag("other"), Some(second), &[3]);
    refused(&store, gone, "there is no such stack").await;

    let now = picture(&store).await;
    assert_eq!(now.version, second);
    assert_eq!(ids(&now, &target), Some(vec![1, 2]));

    // One without entries is a stack like any other.
    let third = written(&store, stack(target.clone(), Some(second), &[])).await;
    assert_eq!(ids(&picture(&store).await, &target), Some(vec![]));
    refused(
        &store,
        stack(target.clone(), None, &[4]),
        "an empty stack is there",
    )
    .await;
    written(&store, stack(target, Some(third), &[4])).await;
}

pub(super) async fn one_call_writes_what_it_may_in_one_revision<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    written(&store, stack(flag("taken"), None, &[1])).await;
    let mut changes = subscribe(&store, "one").await;
    let writes = vec![
        stack(flag("first"), None, &[1]),
        stack(flag("taken"), None, &[2]),
        stack(flag("second"), None, &[3]),
    ];
    let outcomes = write(&store, writes).await;
    let version = picture(&store).await.version;
    let expected = [
        Outcome::Written(version),
        Outcome::Stale,
        Outcome::Written(version),
    ];
    assert_eq!(
        outcomes, expected,
        "each write is judged by itself, in order"
    );
    assert_eq!(version.revision, 2, "one call is one revision");
    let (told, written) = super::rig::change(&mut changes).await;
    assert_eq!(
        (told, written.len()),
        (version, 2),
        "what was refused is not told"
    );
    write(&store, vec![stack(flag("taken"), None, &[2])]).await;
    nothing_is_told(&mut changes, "nothing was written").await;

    let most = |n: usize| stack(flag(&format!("many-{n}")), None, &[1]);
    let outcomes = write(&store, (0..limits::WRITES).map(most).collect()).await;
    assert!(
        outcomes.iter().all(|outcome| *outcome != Outcome::Stale),
        "a call takes {} writes",
        limits::WRITES
    );
}

pub(super) async fn of_those_who_write_at_once_one_wins<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let namespace = rig.namespace();
    let mut racing = Vec::new();
    for id in 0..8 {
        let store = namespace.store().await;
        racing.push(tokio::spawn(async move {
            written_or_stale(&store, stack(flag("search"), None, &[id])).await
        }));
    }
    let mut winners = Vec::new();
    for (id, racer) in racing.into_iter().enumerate() {
        if racer.await.expect("no racer panics") {
            winners.push(id as u64);
        }
    }
    assert_eq!(winners.len(), 1, "one of eight writers wins: {winners:?}");
    let now = picture(&namespace.store().await).await;
    assert_eq!(ids(&now, &flag("search")), Some(winners));
}

async fn written_or_stale(store: &impl FleetStore, one: StackWrite) -> bool {
    write(store, vec![one]).await[0] != Outcome::Stale
}

pub(super) async fn what_is_written_comes_back_as_it_was<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    let name: Arc<str> = r#"a"b\c{d}[e]'f*g?h%i|j/k,l=m;n"#.into();
    let long: Arc<str> = "x".repeat(128).into();
    let text: Arc<str> = "ä\"quote\" \\back 'single' {brace} 日本 🙂 %s".into();
    let longest: Arc<str> = "ü".repeat(128).into();
    let values = [
        (
            Target::Level,
            OverrideValue::Level(DegradationLevel::Emergency),
        ),
        (
            Target::Status(Arc::clone(&name)),
            OverrideValue::Status(Status::Unknown),
        ),
        (
            Target::Circuit(Arc::clone(&name)),
            OverrideValue::Circuit(CircuitMode::ObserveOnly),
        ),
        (
            Target::Flag(name),
            OverrideValue::Flag(FeatureState::Disabled),
        ),
        (
            Target::Flag(long),
            OverrideValue::Flag(FeatureState::Enabled),
        ),
    ];
    for (target, value) in values {
        let entry = |id: u64| StackEntry {
            // Larger than what a double can count to.
            id: FleetOverrideId::from_u64(u64::MAX - id),
            value,
            actor: Arc::clone(&text),
            reason: Arc::clone(&longest),
            set_at: StoreTime(1_790_000_000_123),
            until: StoreTime(1_790_000_600_456),
        };
        let entries: Vec<_> = (0..limits::ENTRIES as u64).map(entry).collect();
        let write = StackWrite {
            target: target.clone(),
            expected: None,
            tag: u64::MAX - 1,
            entries: entries.clone(),
            keep: LONG,
        };
        let version = written(&store, write).await;
        let now = picture(&store).await;
        let found = now.stacks.iter().find(|stack| stack.target == target);
        let found = found.unwrap_or_else(|| panic!("{target} was written and is not there"));
        assert_eq!(found.entries, entries);
        let tag = u64::MAX - 1;
        assert_eq!(found.stamp, Stamp { version, tag });
        let left = found.until.since(now.now);
        assert!(
            left <= LONG && left > LONG / 2,
            "it is kept for {LONG:?}, and has {left:?} left"
        );
    }
}

pub(super) async fn a_stack_of_the_same_version_but_another_tag_is_another<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    let version = written(&store, stack(flag("search"), None, &[1])).await;
    // Of a life that this store has not had, or has forgotten.
    let other = StackWrite {
        expected: Some(Stamp { version, tag: 8 }),
        ..stack(flag("search"), None, &[2])
    };
    refused(&store, other, "that is another stack").await;
    assert_eq!(ids(&picture(&store).await, &flag("search")), Some(vec![1]));
    written(&store, stack(flag("search"), Some(version), &[2])).await;
}

pub(super) async fn a_stack_ends_when_its_time_is_over<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    let short = StackWrite {
        keep: Duration::from_millis(400),
        ..stack(flag("short"), None, &[1])
    };
    let first = written(&store, short).await;
    written(&store, stack(flag("long"), None, &[2])).await;
    let mut changes = subscribe(&store, "one").await;
    assert!(ids(&picture(&store).await, &flag("short")).is_some());
    sleep(Duration::from_millis(1_400)).await;
    let now = picture(&store).await;
    assert_eq!(ids(&now, &flag("short")), None, "its time is over");
    assert!(ids(&now, &flag("long")).is_some());
    assert_eq!(now.version.revision, 2, "an end takes no revision");
    nothing_is_told(&mut changes, "an end is not told").await;
    refused(
        &store,
        stack(flag("short"), Some(first), &[1]),
        "it is gone",
    )
    .await;

    // A stack that is written anew has its new end, not the one before.
    let renewed = StackWrite {
        keep: Duration::from_millis(400),
        ..stack(flag("renewed"), None, &[1])
    };
    let version = written(&store, renewed).await;
    written(&store, stack(flag("renewed"), Some(version), &[2])).await;
    sleep(Duration::from_millis(1_400)).await;
    assert_eq!(ids(&picture(&store).await, &flag("renewed")), Some(vec![2]));
}

pub(super) async fn namespaces_are_apart<S: FleetStore>(rig: &Rig<impl AsyncFn(&str) -> S>) {
    let (one, other) = (rig.store().await, rig.store().await);
    let mut changes = subscribe(&other, "one").await;
    written(&one, stack(flag("search"), None, &[1])).await;
    nothing_is_told(&mut changes, "the write was in another namespace").await;
    let now = picture(&other).await;
    assert_eq!((now.version.revision, now.stacks.len()), (0, 0));
}

pub(super) async fn an_operation_that_is_dropped_leaves_the_store_usable<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    for id in 0..10 {
        // Polled once or a few times, then dropped; whether it is done, nobody knows.
        let write = store.write(vec![stack(flag(&format!("dropped-{id}")), None, &[1])]);
        let _dropped = timeout(Duration::ZERO, write).await;
        let _dropped = timeout(Duration::ZERO, store.picture()).await;
    }
    let version = written(&store, stack(flag("search"), None, &[1])).await;
    let now = done("picture", store.picture()).await;
    assert!(now.version >= version);
    assert_eq!(ids(&now, &flag("search")), Some(vec![1]));
}
