//! Overrides of the whole fleet.

use brownout_registry::fleet::StoreOp;
use brownout_registry::fleet::{FleetError, FleetStore, limits};
use brownout_registry::{
    CircuitMode, DegradationLevel, EventKind, FeatureState, FleetOverrideId, Order, OverrideError,
    OverrideValue, Scope, Status, Target,
};
use brownout_testing::fleet::Fault;
use tokio::time::{advance, sleep};

use super::common::{REPAIR, SECOND, fleet, order, soon, target};

#[tokio::test(start_paused = true)]
async fn what_is_set_is_in_force_here_at_once_and_everywhere_soon() {
    let (_server, [one, other]) = fleet().await;
    one.set("search", FeatureState::Disabled, 60).await.unwrap();
    assert_eq!(one.imposed("search"), Some(FeatureState::Disabled));
    soon().await;
    assert_eq!(other.imposed("search"), Some(FeatureState::Disabled));
    let shown = other.registry.overrides();
    assert_eq!((&*shown[0].actor, &*shown[0].reason), ("ops", "drill"));
    assert!(shown[0].effective);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_target_can_be_imposed_on() {
    let (_server, [one, other]) = fleet().await;
    let search = other.registry.dependency("search").register().unwrap();
    let name = || "search".into();
    let values = [
        (
            Target::Status(name()),
            OverrideValue::Status(Status::Unhealthy),
        ),
        (
            Target::Circuit(name()),
            OverrideValue::Circuit(CircuitMode::ForcedOpen),
        ),
        (
            Target::Level,
            OverrideValue::Level(DegradationLevel::Minimal),
        ),
    ];
    for (target, value) in values {
        one.fleet.set(target, value, order(60)).await.unwrap();
    }
    soon().await;
    assert_eq!(search.status(), Status::Unhealthy);
    let mode = search.circuit_override().get().unwrap().value;
    assert_eq!(mode, CircuitMode::ForcedOpen);
    assert_eq!(other.registry.level(), DegradationLevel::Minimal);
}

#[tokio::test(start_paused = true)]
async fn an_override_of_the_replica_counts_before_the_fleets() {
    let (_server, [one, other]) = fleet().await;
    let own = other
        .registry
        .override_flag("search", FeatureState::Enabled, order(60))
        .unwrap();
    one.set("search", FeatureState::Disabled, 120)
        .await
        .unwrap();
    soon().await;
    assert_eq!(other.imposed("search"), Some(FeatureState::Enabled));
    assert_eq!(one.imposed("search"), Some(FeatureState::Disabled));
    let effective: Vec<_> = other
        .registry
        .overrides()
        .iter()
        .map(|info| (info.scope == Scope::Replica, info.effective))
        .collect();
    assert_eq!(effective, [(true, true), (false, false)]);
    other.registry.release(own).unwrap();
    assert_eq!(other.imposed("search"), Some(FeatureState::Disabled));
}

#[tokio::test(start_paused = true)]
async fn the_newest_counts_and_releasing_it_reveals_the_older_on_any_replica() {
    let (_server, [one, other]) = fleet().await;
    let older = one.set("search", FeatureState::Disabled, 60).await.unwrap();
    soon().await;
    let newer = other
        .set("search", FeatureState::Degraded, 60)
        .await
        .unwrap();
    soon().await;
    assert_eq!(one.imposed("search"), Some(FeatureState::Degraded));
    one.fleet.release(target("search"), newer).await.unwrap();
    assert_eq!(one.imposed("search"), Some(FeatureState::Disabled));
    soon().await;
    assert_eq!(other.imposed("search"), Some(FeatureState::Disabled));
    other.fleet.release(target("search"), older).await.unwrap();
    soon().await;
    assert_eq!(one.imposed("search"), None);
    assert_eq!(
        one.fleet.release(target("search"), older).await,
        Err(FleetError::NotActive {
            target: target("search"),
            id: older
        })
    );
}

#[tokio::test(start_paused = true)]
async fn an_override_ends_at_the_same_time_everywhere_without_the_store() {
    let (_server, [one, other]) = fleet().await;
    one.set("search", FeatureState::Disabled, 60).await.unwrap();
    soon().await;
    one.faults.all(Fault::Hang);
    other.faults.all(Fault::Hang);
    sleep(SECOND * 59).await;
    assert_eq!(one.imposed("search"), Some(FeatureState::Disabled));
    assert_eq!(other.imposed("search"), Some(FeatureState::Disabled));
    sleep(SECOND).await;
    assert_eq!(
        (one.imposed("search"), other.imposed("search")),
        (None, None)
    );
}

#[tokio::test(start_paused = true)]
async fn who_has_not_heard_of_the_last_write_is_refused_and_soon_knows_better() {
    let (_server, [one, other]) = fleet().await;
    // Other hears nothing of it.
    other.faults.one(StoreOp::Changes, Fault::Hang);
    one.set("search", FeatureState::Disabled, 60).await.unwrap();
    let refused = other.set("search", FeatureState::Enabled, 60).await;
    let stale = FleetError::Stale {
        target: target("search"),
    };
    assert_eq!(refused, Err(stale));
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("look at what is in force")
    );
    soon().await;
    assert_eq!(other.imposed("search"), Some(FeatureState::Disabled));
    other
        .set("search", FeatureState::Enabled, 60)
        .await
        .unwrap();
    soon().await;
    assert_eq!(one.imposed("search"), Some(FeatureState::Enabled));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_valid_is_refused_without_asking_the_store() {
    let (_server, [one]) = fleet().await;
    let asked = one.faults.asked(StoreOp::Write);
    let flag = OverrideValue::Flag(FeatureState::Disabled);
    let nobody = Order::new(" ", "drill", SECOND);
    let set = one.fleet.set(target("search"), flag, nobody).await;
    assert!(matches!(
        set,
        Err(FleetError::Invalid(OverrideError::InvalidOrder {
            field: "actor",
            ..
        }))
    ));
    for wrong in [target("a:b"), target("")] {
        let set = one.fleet.set(wrong, flag, order(60)).await;
        assert!(matches!(
            set,
            Err(FleetError::Invalid(OverrideError::InvalidTarget { .. }))
        ));
    }
    let degraded = OverrideValue::Status(Status::Degraded);
    for (target, value, says) in [
        (
            Target::Level,
            flag,
            "override: level does not take the flag's state disabled, but those of its own kind: full, reduced, minimal, emergency",
        ),
        (
            target("search"),
            degraded,
            "override: flag:search does not take the status degraded, but those of its own kind: enabled, degraded, disabled",
        ),
        (
            Target::Status("search".into()),
            flag,
            "override: status:search does not take the flag's state disabled, but those of its own kind: healthy, \
             unknown, degraded, unhealthy",
        ),
        (
            Target::Circuit("search".into()),
            degraded,
            "override: circuit:search does not take the status degraded, but those of its own kind: forced-open, \
             forced-closed, observe-only",
        ),
    ] {
        let set = one.fleet.set(target.clone(), value, order(60)).await;
        let error = OverrideError::WrongValue { target, value };
        assert_eq!(error.to_string(), says);
        assert_eq!(set, Err(FleetError::Invalid(error)));
    }
    let id = FleetOverrideId::from_u64(7);
    let release = one.fleet.release(target("search"), id).await;
    assert!(matches!(release, Err(FleetError::NotActive { .. })));
    assert_eq!(one.faults.asked(StoreOp::Write), asked);
}

#[tokio::test(start_paused = true)]
async fn a_target_carries_eight_of_the_fleet_and_eight_of_its_own() {
    let (_server, [one]) = fleet().await;
    for _ in 0..limits::ENTRIES {
        one.set("search", FeatureState::Disabled, 60).await.unwrap();
        one.registry
            .override_flag("search", FeatureState::Enabled, order(60))
            .unwrap();
    }
    let target = target("search");
    assert_eq!(
        one.set("search", FeatureState::Disabled, 60).await,
        Err(FleetError::Invalid(OverrideError::TooMany { target }))
    );
    assert_eq!(one.registry.overrides().len(), 2 * limits::ENTRIES);
    // What has ended makes room.
    advance(SECOND * 61).await;
    one.set("search", FeatureState::Disabled, 60).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_replica_cannot_release_what_is_the_fleets_by_itself() {
    let (_server, [one]) = fleet().await;
    one.set("search", FeatureState::Disabled, 60).await.unwrap();
    let id = one.registry.overrides()[0].id;
    assert_eq!(one.registry.release(id), Err(OverrideError::OfFleet { id }));
    assert_eq!(one.imposed("search"), Some(FeatureState::Disabled));
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_is_registered_later_finds_what_the_fleet_has_decided() {
    let (_server, [one, other]) = fleet().await;
    let status = OverrideValue::Status(Status::Degraded);
    let search = Target::Status("search".into());
    one.fleet
        .set(search.clone(), status, order(60))
        .await
        .unwrap();
    soon().await;
    let found = other.registry.dependency("search").register().unwrap();
    assert_eq!(found.status(), Status::Degraded);
    assert_eq!(other.held().len(), 1);
    sleep(SECOND * 60).await;
    let late = one.registry.dependency("search").register().unwrap();
    assert_eq!(late.status(), Status::Healthy, "it has ended meanwhile");
}

#[tokio::test(start_paused = true)]
async fn each_set_and_release_and_end_is_an_event_on_every_replica() {
    let (_server, [one, other]) = fleet().await;
    let mut events = other.registry.events();
    let first = one
        .set("search", FeatureState::Disabled, 600)
        .await
        .unwrap();
    one.set("search", FeatureState::Degraded, 60).await.unwrap();
    soon().await;
    one.fleet.release(target("search"), first).await.unwrap();
    // Pictures of the same state say nothing new.
    sleep(SECOND * 70).await;
    assert_eq!(other.imposed("search"), None);
    let mut seen = Vec::new();
    while let Some(brownout_registry::Received::Event(event)) = events.try_recv() {
        seen.push(match &event.kind {
            EventKind::OverrideSet { .. } => "set",
            EventKind::OverrideReleased { .. } => "released",
            EventKind::OverrideExpired { .. } => "expired",
            _ => "other",
        });
    }
    assert_eq!(seen, ["set", "set", "released", "expired"]);
}

#[tokio::test(start_paused = true)]
async fn many_decisions_at_once_are_few_messages() {
    let (server, [one, other]) = fleet().await;
    let deciding = |n: usize| {
        let fleet = one.fleet.clone();
        tokio::spawn(async move {
            let target = target(&format!("flag-{}", n % 50));
            let value = OverrideValue::Flag(FeatureState::Disabled);
            fleet.set(target, value, order(600)).await
        })
    };
    let decided: Vec<_> = (0..100).map(deciding).collect();
    for one in decided {
        one.await.unwrap().unwrap();
    }
    soon().await;
    assert_eq!(other.held().len(), 100);
    assert_eq!(other.held(), one.held());
    let written = format!("{server:?}");
    let revision = other.fleet.view().version.unwrap().revision;
    assert!(
        revision <= 3,
        "100 decisions took {revision} writes: {written}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_decision_whose_caller_has_given_up_is_taken_all_the_same() {
    let (_server, [one, other]) = fleet().await;
    one.faults.one(StoreOp::Write, Fault::Delay(SECOND));
    let value = OverrideValue::Flag(FeatureState::Disabled);
    let set = one.fleet.set(target("search"), value, order(600));
    assert!(tokio::time::timeout(SECOND / 2, set).await.is_err());
    sleep(SECOND).await;
    assert_eq!(one.held(), other.held());
    assert_eq!(one.held().len(), 1);
    sleep(REPAIR).await;
    assert_eq!(one.held().len(), 1);
}

/// A decision that its caller was told has failed must not come to be at some later time, over what was decided meanwhile.
#[tokio::test(start_paused = true)]
async fn a_decision_that_has_failed_does_not_come_true_long_after() {
    let (server, [one, other]) = fleet().await;
    one.faults.one(StoreOp::Write, Fault::Hang);
    // More than go with two writes, so some wait while others hang.
    let decisions = (0..limits::WRITES * 5).map(|n| {
        let fleet = one.fleet.clone();
        async move {
            let value = OverrideValue::Flag(FeatureState::Disabled);
            fleet
                .set(target(&format!("flag-{n:03}")), value, order(600))
                .await
        }
    });
    let decisions: Vec<_> = decisions.map(tokio::spawn).collect();
    for decision in decisions {
        let decided = decision.await.unwrap();
        assert!(matches!(decided, Err(FleetError::Store(_))), "{decided:?}");
    }
    one.faults.one(StoreOp::Write, Fault::None);
    sleep(SECOND).await;
    // Whoever looks now sees nothing of it, and decides otherwise.
    let last = format!("flag-{:03}", limits::WRITES * 5 - 1);
    assert_eq!(other.imposed(&last), None);
    other.set(&last, FeatureState::Enabled, 600).await.unwrap();
    sleep(REPAIR).await;
    assert_eq!(other.imposed(&last), Some(FeatureState::Enabled));
    assert_eq!(server.picture().await.unwrap().stacks.len(), 1);
}
