//! A store that was flushed, replaced or restored.

use brownout_registry::FeatureState;
use brownout_registry::fleet::StoreOp;
use brownout_testing::fleet::Fault;
use tokio::time::sleep;

use super::common::{Calls, REPAIR, Replica, SECOND, fleet, soon, target};

#[tokio::test(start_paused = true)]
async fn what_people_have_decided_survives_a_flush() {
    let (server, [one, other]) = fleet().await;
    one.set("search", FeatureState::Disabled, 6_000)
        .await
        .unwrap();
    one.set("search", FeatureState::Degraded, 6_000)
        .await
        .unwrap();
    soon().await;
    let before = one.held();
    server.flush();
    for _ in 0..100 {
        sleep(SECOND).await;
        // At no moment is it not in force.
        assert_eq!(one.imposed("search"), Some(FeatureState::Degraded));
        assert_eq!(other.imposed("search"), Some(FeatureState::Degraded));
    }
    assert_eq!((one.held(), other.held()), (before.clone(), before.clone()));
    // The store has it too.
    let late = Replica::join(&server, 9);
    soon().await;
    assert_eq!(late.held(), before);
    // And its time is what it was.
    sleep(SECOND * 5_950).await;
    assert_eq!((one.held(), late.held()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_automation_has_decided_does_not() {
    let (server, [one, other]) = fleet().await;
    let calls = [
        Calls::of(&one.registry, "search"),
        Calls::of(&other.registry, "search"),
    ];
    sleep(SECOND * 3).await;
    for calls in &calls {
        calls.fail(5);
    }
    sleep(SECOND * 3).await;
    assert!(one.trip("search").get().is_some() && other.trip("search").get().is_some());
    server.flush();
    sleep(REPAIR).await;
    assert!(one.trip("search").get().is_none() && other.trip("search").get().is_none());
}

#[tokio::test(start_paused = true)]
async fn who_was_away_does_not_bring_back_what_was_released() {
    let (server, [one, other]) = fleet().await;
    let id = one
        .set("search", FeatureState::Disabled, 6_000)
        .await
        .unwrap();
    soon().await;
    other.faults.all(brownout_testing::fleet::Fault::Hang);
    sleep(SECOND * 10).await;
    server.flush();
    sleep(REPAIR).await;
    // One has offered it again; a person releases it in the new epoch.
    assert_eq!(one.held().len(), 1);
    one.fleet.release(target("search"), id).await.unwrap();
    other.faults.all(brownout_testing::fleet::Fault::None);
    sleep(REPAIR).await;
    assert_eq!((one.held(), other.held()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_in_the_new_epoch_counts_before_what_is_offered() {
    let (server, [one, other]) = fleet().await;
    one.set("search", FeatureState::Disabled, 6_000)
        .await
        .unwrap();
    soon().await;
    one.faults.all(brownout_testing::fleet::Fault::Hang);
    other.faults.all(brownout_testing::fleet::Fault::Hang);
    server.flush();
    let third = Replica::join(&server, 9);
    soon().await;
    third
        .set("search", FeatureState::Enabled, 6_000)
        .await
        .unwrap();
    one.faults.all(brownout_testing::fleet::Fault::None);
    other.faults.all(brownout_testing::fleet::Fault::None);
    sleep(REPAIR).await;
    assert_eq!(one.imposed("search"), Some(FeatureState::Enabled));
    assert_eq!((one.held(), other.held()), (third.held(), third.held()));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_back_to_a_backup_is_followed_and_gets_what_it_has_lost() {
    let (server, [one, other]) = fleet().await;
    one.set("old", FeatureState::Disabled, 6_000).await.unwrap();
    let saved = server.save();
    one.set("old", FeatureState::Degraded, 6_000).await.unwrap();
    one.set("new", FeatureState::Degraded, 6_000).await.unwrap();
    sleep(SECOND * 60).await;
    server.restore(&saved);
    sleep(REPAIR * 2).await;
    assert_eq!(one.held(), other.held());
    // What the store still had is as it had it; what it had not is there again.
    assert_eq!(one.imposed("old"), Some(FeatureState::Disabled));
    assert_eq!(one.imposed("new"), Some(FeatureState::Degraded));
    let late = Replica::join(&server, 9);
    soon().await;
    assert_eq!(late.held(), one.held());
}

#[tokio::test(start_paused = true)]
async fn what_people_have_decided_lasts_its_time_though_the_stores_clock_jumps() {
    let (server, [one, other]) = fleet().await;
    one.set("search", FeatureState::Disabled, 1_000)
        .await
        .unwrap();
    soon().await;
    // To the store it is all over now.
    server.set_forward(SECOND * 3_600);
    for _ in 0..90 {
        sleep(SECOND * 10).await;
        for replica in [&one, &other] {
            assert_eq!(replica.imposed("search"), Some(FeatureState::Disabled));
        }
    }
    assert_eq!(one.held(), other.held());
    let late = Replica::join(&server, 9);
    soon().await;
    assert_eq!(late.held(), one.held());
    sleep(SECOND * 101).await;
    for replica in [&one, &other, &late] {
        assert_eq!(replica.imposed("search"), None);
    }
    // And what is decided from now on is as ever.
    late.set("search", FeatureState::Degraded, 60)
        .await
        .unwrap();
    sleep(SECOND * 59).await;
    assert_eq!(one.imposed("search"), Some(FeatureState::Degraded));
    sleep(SECOND).await;
    assert_eq!(one.imposed("search"), None);
}

#[tokio::test(start_paused = true)]
async fn a_write_from_the_old_epoch_is_refused_in_the_new() {
    let (server, [one]) = fleet().await;
    let id = one
        .set("search", FeatureState::Disabled, 6_000)
        .await
        .unwrap();
    server.flush();
    // Before the replica has noticed.
    let release = one.fleet.release(target("search"), id).await;
    assert!(
        matches!(
            release,
            Err(brownout_registry::fleet::FleetError::Stale { .. })
        ),
        "{release:?}"
    );
    sleep(SECOND).await;
    one.fleet.release(target("search"), id).await.unwrap();
    assert_eq!(one.imposed("search"), None);
}

#[tokio::test(start_paused = true)]
async fn an_override_that_the_store_has_lost_is_not_taken_for_the_one_that_has_its_version_now() {
    let (server, [one, other]) = fleet().await;
    one.set("elsewhere", FeatureState::Disabled, 6_000)
        .await
        .unwrap();
    soon().await;
    let saved = server.save();
    other.faults.lose(1);
    one.set("search", FeatureState::Disabled, 6_000)
        .await
        .unwrap();
    soon().await;
    server.restore(&saved);
    // The same revision of the same epoch, of which the one does not hear.
    one.faults.lose(1);
    let id = other
        .set("search", FeatureState::Degraded, 6_000)
        .await
        .unwrap();
    soon().await;
    let over_the_lost = one.set("search", FeatureState::Enabled, 6_000).await;
    assert!(
        matches!(
            over_the_lost,
            Err(brownout_registry::fleet::FleetError::Stale { .. })
        ),
        "{over_the_lost:?}"
    );
    sleep(REPAIR).await;
    assert_eq!(one.held(), other.held());
    assert!(one.held().contains(&(target("search"), id)));
}

/// Whoever decides by a clock that is not the store's any more has to learn what the others make of it.
#[tokio::test(start_paused = true)]
async fn what_is_decided_by_an_old_clock_ends_at_the_same_time_everywhere() {
    let (server, [one, other]) = fleet().await;
    one.faults.one(StoreOp::Picture, Fault::Hang);
    sleep(REPAIR).await;
    server.set_forward(SECOND * 3_000);
    sleep(REPAIR).await;
    one.set("search", FeatureState::Disabled, 3_600)
        .await
        .unwrap();
    soon().await;
    assert_eq!(one.held(), other.held());
    one.faults.one(StoreOp::Picture, Fault::None);
    sleep(REPAIR * 2).await;
    for second in 0..3_600 {
        assert_eq!(one.held(), other.held(), "after {second} s");
        sleep(SECOND).await;
    }
    assert!(one.held().is_empty());
}
