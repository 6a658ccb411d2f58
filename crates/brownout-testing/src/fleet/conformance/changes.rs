//! Messages: everybody is told, in order, of everything.

use std::collections::BTreeMap;
use std::time::Duration;

use brownout_registry::Target;
use brownout_registry::fleet::{Change, Changes, FleetStore, Message, Version};
use tokio::time::timeout;

use super::rig::{
    Rig, change, count, counted, done, flag, nothing_is_told, picture, replica, rule, stack,
    subscribe, written,
};

pub(super) async fn every_subscriber_is_told_of_every_write<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let namespace = rig.namespace();
    let (writer, reader) = (namespace.store().await, namespace.store().await);
    written(&writer, stack(flag("before"), None, &[1])).await;
    let mut subscribers = [
        subscribe(&writer, "writer").await,
        subscribe(&reader, "reader").await,
        subscribe(&reader, "reader").await,
    ];
    let version = written(&writer, stack(flag("search"), None, &[1, 2])).await;
    for changes in &mut subscribers {
        let message = done("the next message", changes.next()).await;
        let Message::Changed {
            version: told,
            now,
            changes,
        } = message
        else {
            panic!("a subscriber was told {message:?} in place of a write");
        };
        assert_eq!(told, version, "what came before is not told");
        let [Change::Stack(stack)] = &changes[..] else {
            panic!("a subscriber was told {changes:?} of a write of one stack");
        };
        let picture = picture(&reader).await;
        assert!(
            picture.stacks.contains(stack),
            "values are told whole: {stack:?}"
        );
        assert!(now <= picture.now && picture.now.since(now) < Duration::from_secs(5));
    }
    drop(subscribers);
    written(&writer, stack(flag("later"), None, &[1])).await;
    let mut late = subscribe(&reader, "reader").await;
    nothing_is_told(&mut late, "it subscribed after the write").await;
}

pub(super) async fn revisions_of_many_writers_leave_out_none<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    const WRITERS: u64 = 8;
    const WRITES: u64 = 10;
    let namespace = rig.namespace();
    let mut changes = subscribe(&namespace.store().await, "reader").await;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let store = namespace.store().await;
        writers.push(tokio::spawn(async move {
            for id in 0..WRITES {
                let target = flag(&format!("f-{writer}-{id}"));
                written(&store, stack(target, None, &[id])).await;
            }
        }));
    }
    for revision in 1..=WRITERS * WRITES {
        let (version, _) = change(&mut changes).await;
        assert_eq!(
            version.revision, revision,
            "messages come in order, and all of them"
        );
    }
    for writer in writers {
        writer.await.expect("no writer panics");
    }
    let now = picture(&namespace.store().await).await;
    assert_eq!(now.version.revision, WRITERS * WRITES);
}

pub(super) async fn a_picture_and_what_follows_make_the_next_picture<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let namespace = rig.namespace();
    let store = namespace.store().await;
    let writer = namespace.store().await;
    let writing = tokio::spawn(async move {
        let mut last: BTreeMap<Target, Version> = BTreeMap::new();
        for id in 0..60 {
            let target = flag(&format!("f-{}", id % 7));
            let expected = last.get(&target).copied();
            let version = written(&writer, stack(target.clone(), expected, &[id])).await;
            last.insert(target, version);
            tokio::task::yield_now().await;
        }
    });
    let mut changes = subscribe(&store, "reader").await;
    let first = picture(&store).await;
    let mut held: BTreeMap<Target, _> = first
        .stacks
        .iter()
        .map(|stack| (stack.target.clone(), stack.clone()))
        .collect();
    let mut at = first.version;
    writing.await.expect("the writer does not panic");
    let last = picture(&store).await;
    while at < last.version {
        let (version, values) = change(&mut changes).await;
        // What was written between subscription and picture is in both.
        if version <= at {
            continue;
        }
        assert_eq!(
            version.revision,
            at.revision + 1,
            "nothing is left out after a picture"
        );
        at = version;
        for change in values {
            if let Change::Stack(stack) = change {
                held.insert(stack.target.clone(), stack);
            }
        }
    }
    let mut expected = last.stacks;
    expected.sort_by(|one, other| one.target.cmp(&other.target));
    assert_eq!(held.into_values().collect::<Vec<_>>(), expected);
}

pub(super) async fn waiting_for_a_message_may_be_given_up<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    let mut changes = subscribe(&store, "one").await;
    for revision in 1..=5 {
        let target = flag(&format!("f-{revision}"));
        let _given_up = timeout(Duration::from_millis(1), changes.next()).await;
        written(&store, stack(target, None, &[1])).await;
        // Either of these gets it, and nobody else.
        let (version, _) = change(&mut changes).await;
        assert_eq!(
            version.revision, revision,
            "a message that was waited for is not lost"
        );
    }
}

pub(super) async fn a_canary_comes_to_its_own_replica_only<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let namespace = rig.namespace();
    let (one, other) = (namespace.store().await, namespace.store().await);
    let mut own = subscribe(&one, "one").await;
    let mut foreign = subscribe(&other, "other").await;
    let canary = u64::MAX - 7;
    done("ping", one.ping(&replica("one"), canary)).await;
    let told = done("the canary", own.next()).await;
    assert_eq!(told, Message::Canary(canary));
    nothing_is_told(&mut foreign, "the canary was another replica's").await;
    assert_eq!(
        picture(&one).await.version.revision,
        0,
        "a canary takes no revision"
    );
    // It takes the way that changes take.
    counted(&one, "one", 1, count("search", 0, 9, rule(1))).await;
    change(&mut own).await;
}
