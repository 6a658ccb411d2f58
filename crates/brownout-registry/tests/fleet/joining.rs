//! Joining and leaving.

use std::time::Duration;

use brownout_registry::fleet::{FleetError, JoinError, MemoryStore, ReplicaId, StoreErrorKind};
use brownout_registry::{
    Criticality, DegradationLevel, FeatureState, OverrideValue, Registry, Status, SystemHealth,
    Target,
};
use brownout_testing::fleet::{Fault, FaultyStore};
use tokio::time::sleep;

use super::common::{REPAIR, Replica, fleet, registry, settings, soon};

#[tokio::test(start_paused = true)]
async fn a_replica_that_joins_later_finds_what_the_others_have_decided() {
    let (server, [one]) = fleet().await;
    one.set("search", FeatureState::Disabled, 60).await.unwrap();
    let late = Replica::join(&server, 9);
    soon().await;
    assert_eq!(late.imposed("search"), Some(FeatureState::Disabled));
    assert_eq!(late.held(), one.held());
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_takes_nothing_of_the_fleet_with_them() {
    let (server, [one, other]) = fleet().await;
    one.set("search", FeatureState::Disabled, 600)
        .await
        .unwrap();
    other
        .registry
        .override_flag("own", FeatureState::Degraded, super::common::order(600))
        .unwrap();
    soon().await;
    let Replica {
        registry,
        fleet,
        guard,
        ..
    } = other;
    drop(guard);
    assert!(registry.fleet().is_none());
    assert_eq!(registry.flag_override("search").unwrap().get(), None);
    assert_eq!(registry.overrides().len(), 1, "its own is its own");
    let flag = brownout_registry::OverrideValue::Flag(FeatureState::Enabled);
    let set = fleet.set(
        super::common::target("search"),
        flag,
        super::common::order(60),
    );
    assert_eq!(set.await, Err(FleetError::Left));
    sleep(REPAIR).await;
    assert_eq!(registry.overrides().len(), 1);
    let snapshot = registry.snapshot();
    assert!(
        snapshot
            .dependency("fleet-store")
            .unwrap()
            .reports
            .is_empty()
    );

    // It may come back.
    let (store, _faults) = FaultyStore::new(server);
    let _guard = registry.join_fleet(store, settings("again")).unwrap();
    soon().await;
    assert_eq!(registry.overrides().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_registry_is_in_one_fleet_at_a_time() {
    let (server, [one]) = fleet().await;
    let again = one.registry.join_fleet(server.clone(), settings("again"));
    assert_eq!(again.unwrap_err(), JoinError::AlreadyJoined);
    assert!(one.registry.fleet().unwrap().is_in_touch());
}

#[test]
fn without_a_runtime_there_is_no_fleet() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let server = {
        let timeless = { runtime }.build().unwrap();
        let _entered = timeless.enter();
        let server = MemoryStore::new();
        let joined = Registry::new().join_fleet(server.clone(), settings("one"));
        assert_eq!(joined.unwrap_err(), JoinError::NoRuntime);
        server
    };
    let joined = Registry::new().join_fleet(server, settings("one"));
    let error = joined.unwrap_err();
    assert_eq!(error, JoinError::NoRuntime);
    assert!(error.to_string().contains("runtime"));
}

#[tokio::test(start_paused = true)]
async fn bad_settings_are_refused_by_name() {
    type Change =
        fn(brownout_registry::fleet::FleetSettings) -> brownout_registry::fleet::FleetSettings;
    let wrong: [(&str, Change); 6] = [
        ("timeout", |settings| settings.timeout(Duration::ZERO)),
        ("ping", |settings| settings.ping(Duration::from_millis(9))),
        ("repair", |settings| {
            settings.repair(Duration::from_secs(86_401))
        }),
        ("flush", |settings| settings.flush(Duration::ZERO)),
        ("report", |settings| settings.report(Duration::MAX)),
        ("quorum", |settings| settings.quorum(0)),
    ];
    for (name, change) in wrong {
        let joined = registry(1).join_fleet(MemoryStore::new(), change(settings("one")));
        match joined {
            Err(JoinError::Invalid { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    for name in ["", "a b", "a:b", "ä"] {
        let error = ReplicaId::new(name).unwrap_err();
        assert!(error.to_string().contains("replica"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_name_of_the_stores_dependency_may_be_taken_for_another() {
    let registry = Registry::new();
    let taken = registry
        .dependency("fleet-store")
        .criticality(Criticality::Critical);
    taken.register().unwrap();
    let joined = registry.join_fleet(MemoryStore::new(), settings("one"));
    assert!(matches!(joined, Err(JoinError::Dependency(_))));
    assert!(registry.fleet().is_none());
}

#[tokio::test(start_paused = true)]
async fn starting_while_the_store_is_away_works_and_joins_when_it_is_there() {
    let server = MemoryStore::new();
    let there = Replica::join(&server, 1);
    soon().await;
    there
        .set("search", FeatureState::Disabled, 600)
        .await
        .unwrap();

    let registry = registry(2);
    let (store, faults) = FaultyStore::new(server);
    faults.all(Fault::Fail(StoreErrorKind::Refused));
    let guard = registry.join_fleet(store, settings("late")).unwrap();
    soon().await;
    assert_eq!(registry.flag_override("search").unwrap().get(), None);
    assert_eq!(registry.health(), SystemHealth::Degraded, "which is `warn`");
    let snapshot = registry.snapshot();
    let store = snapshot.dependency("fleet-store").unwrap();
    assert_eq!(store.status, Status::Degraded);
    let message = store.reports[0].message.as_deref().unwrap();
    assert!(message.contains("access refused"), "{message}");
    assert!(message.contains("not synchronised for 0 s"), "{message}");
    let decided = guard.fleet();
    let flag = brownout_registry::OverrideValue::Flag(FeatureState::Enabled);
    let set = decided.set(
        super::common::target("search"),
        flag,
        super::common::order(60),
    );
    assert_eq!(set.await, Err(FleetError::NotSynchronised));

    faults.all(Fault::None);
    sleep(REPAIR).await;
    assert_eq!(registry.health(), SystemHealth::Healthy);
    let imposed = registry.flag_override("search").unwrap().get().unwrap();
    assert_eq!(imposed.value, FeatureState::Disabled);
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_fleet_that_was_left_keeps_the_registry_alive() {
    let (_server, [one]) = fleet().await;
    one.set("search", FeatureState::Disabled, 600)
        .await
        .unwrap();
    let Replica {
        registry,
        fleet,
        guard,
        ..
    } = one;
    let mut events = registry.events();
    drop((registry, guard));
    // The tasks are gone when the runtime has come to it.
    soon().await;
    while let Some(event) = tokio::time::timeout(REPAIR, events.recv()).await.unwrap() {
        drop(event);
    }
    assert!(!fleet.is_in_touch());
    assert!(fleet.view().replicas.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_still_under_way_when_a_fleet_was_left_takes_nothing_from_the_next() {
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    let decider = Replica::join(&new, 1);
    let leaver = Replica::join(&old, 2);
    until(|| decider.fleet.is_in_touch() && leaver.fleet.is_in_touch()).await;
    decider
        .set("search", FeatureState::Disabled, 600)
        .await
        .unwrap();

    // A callback that takes its time keeps the old fleet's task where it is.
    let (entered, has_entered) = std::sync::mpsc::channel();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(Some(wait));
    let _told = leaver.registry.on_level_change(move || {
        let first = wait.lock().unwrap().take();
        if let Some(wait) = first {
            entered.send(()).unwrap();
            let _gone_on = wait.recv();
        }
    });
    let other = Replica::join(&old, 3);
    until(|| other.fleet.is_in_touch()).await;
    let level = OverrideValue::Level(DegradationLevel::Minimal);
    let order = super::common::order(600);
    other.fleet.set(Target::Level, level, order).await.unwrap();
    tokio::task::spawn_blocking(move || has_entered.recv().unwrap())
        .await
        .unwrap();

    let Replica {
        registry, guard, ..
    } = leaver;
    drop(guard);
    let again = Replica::join_as(&new, registry, settings("again"));
    until(|| again.imposed("search").is_some()).await;
    go_on.send(()).unwrap();
    sleep(Duration::from_millis(200)).await;
    assert_eq!(again.imposed("search"), Some(FeatureState::Disabled));
    assert_eq!(again.registry.level(), DegradationLevel::Full);
}

/// On the real clock: how long the threads take is up to them.
async fn until(holds: impl Fn() -> bool) {
    let begun = tokio::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never holds");
        sleep(Duration::from_millis(5)).await;
    }
}
