//! Flags that the errors of all replicas together degrade.

use brownout_registry::fleet::{Count, StoreErrorKind, StoreOp};
use brownout_registry::{FeatureState, Meter, Readings};
use brownout_testing::fleet::Fault;
use tokio::time::{sleep, sleep_until};

use super::common::{Calls, Replica, SECOND, fleet, registry, settings, soon};

/// Longer than a flush.
const FLUSH: std::time::Duration = std::time::Duration::from_millis(1_500);

/// Longer than it takes until everybody who lives is known to live.
const SETTLED: std::time::Duration = std::time::Duration::from_mins(1);

fn tripped(replica: &Replica) -> bool {
    replica.trip("search").get().is_some()
}

#[tokio::test(start_paused = true)]
async fn errors_of_all_replicas_together_degrade_the_flag_of_all() {
    let (_server, [one, other, third]) = fleet().await;
    let calls = [&one, &other].map(|replica| Calls::of(&replica.registry, "search"));
    sleep(SECOND * 3).await;
    calls[0].fail(2);
    calls[1].fail(2);
    sleep(FLUSH).await;
    assert!(!tripped(&one) && !tripped(&third), "four of five errors");
    calls[0].fail(1);
    sleep(FLUSH).await;
    for replica in [&one, &other, &third] {
        let trip = replica.trip("search").get().unwrap();
        assert_eq!(trip.value, FeatureState::Degraded);
    }
    sleep(SECOND * 60).await;
    assert!(!tripped(&one) && !tripped(&third), "its time is over");
}

#[tokio::test(start_paused = true)]
async fn forty_replicas_with_one_error_in_ten_each_trip_at_the_fifth() {
    let server = brownout_registry::fleet::MemoryStore::new();
    let replicas: Vec<_> = (0..40).map(|n| Replica::join(&server, n)).collect();
    let calls: Vec<_> = replicas
        .iter()
        .map(|replica| Calls::of(&replica.registry, "search"))
        .collect();
    sleep(SECOND * 3).await;
    for (nth, calls) in calls.iter().enumerate() {
        calls.succeed(9);
        calls.fail(1);
        sleep(FLUSH).await;
        let errors = nth + 1;
        assert_eq!(tripped(&replicas[39]), errors >= 5, "after {errors} errors");
        if errors == 5 {
            break;
        }
    }
    assert!(replicas.iter().all(tripped));
}

#[tokio::test(start_paused = true)]
async fn one_replica_of_forty_alone_trips_nobody_and_one_alone_in_its_fleet_does() {
    let server = brownout_registry::fleet::MemoryStore::new();
    let replicas: Vec<_> = (0..40).map(|n| Replica::join(&server, n)).collect();
    sleep(SECOND * 3).await;
    let calls = Calls::of(&replicas[7].registry, "search");
    calls.fail(1_000);
    sleep(SECOND * 20).await;
    assert!(!replicas.iter().any(tripped));

    let (_server, [alone]) = fleet().await;
    let calls = Calls::of(&alone.registry, "search");
    sleep(SETTLED).await;
    calls.fail(5);
    sleep(FLUSH).await;
    assert!(tripped(&alone));
}

/// A replica of a fleet that has just begun, or whose store has just come back, cannot know that it is alone.
#[tokio::test(start_paused = true)]
async fn who_has_not_been_heard_of_yet_is_nobody_who_is_gone() {
    let (server, [one, other, third]) = fleet().await;
    let calls = Calls::of(&one.registry, "search");
    // One replica, with its own errors, over and over, whatever becomes of the store meanwhile.
    let fails_alone = async |seconds: u32| {
        for _ in 0..seconds {
            calls.fail(1_000);
            sleep(SECOND).await;
            assert!(
                !tripped(&one) && !tripped(&third),
                "one of three is no quorum"
            );
        }
    };
    fails_alone(20).await;
    // Its summaries are gone as well.
    server.flush();
    fails_alone(60).await;
    // All lose the store for longer than summaries last, and one is back before the others.
    for replica in [&one, &other, &third] {
        replica.faults.all(Fault::Fail(StoreErrorKind::Unreachable));
    }
    fails_alone(60).await;
    one.faults.all(Fault::None);
    fails_alone(20).await;
    other.faults.all(Fault::None);
    third.faults.all(Fault::None);
    fails_alone(60).await;
    // It is started anew from what it held before anybody had told it of himself.
    server.flush();
    let empty = server.save();
    fails_alone(60).await;
    server.restore(&empty);
    for replica in [&one, &other, &third] {
        replica.faults.cut();
    }
    fails_alone(60).await;
    // A second one makes the quorum, as ever.
    let others = Calls::of(&other.registry, "search");
    sleep(FLUSH).await;
    others.fail(1);
    sleep(FLUSH).await;
    assert!(tripped(&one) && tripped(&third));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_timed_out_is_never_sent_again() {
    let (_server, [one, other]) = fleet().await;
    let calls = [&one, &other].map(|replica| Calls::of(&replica.registry, "search"));
    sleep(SECOND * 3).await;
    calls[1].fail(1);
    sleep(FLUSH).await;
    // The store has it, but does not say so.
    one.faults.one(StoreOp::Count, Fault::LoseAnswer);
    calls[0].fail(3);
    sleep(SECOND * 5).await;
    one.faults.one(StoreOp::Count, Fault::None);
    sleep(SECOND * 5).await;
    assert!(
        !tripped(&other),
        "four errors, of which three were told once"
    );
    calls[0].fail(1);
    sleep(FLUSH).await;
    assert!(tripped(&other), "the fifth");
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_while_the_store_was_away_is_dropped() {
    let (_server, [one, other]) = fleet().await;
    let calls = [&one, &other].map(|replica| Calls::of(&replica.registry, "search"));
    sleep(SECOND * 3).await;
    calls[1].fail(1);
    sleep(FLUSH).await;
    one.faults.all(Fault::Hang);
    sleep(SECOND * 10).await;
    calls[0].fail(100);
    sleep(SECOND * 10).await;
    one.faults.all(Fault::None);
    sleep(SECOND * 25).await;
    assert!(!tripped(&other));
    assert!(!tripped(&one), "nor is it told later");
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_before_joining_is_nobodys_concern() {
    let server = brownout_registry::fleet::MemoryStore::new();
    let registry = registry(1);
    let calls = Calls::of(&registry, "search");
    calls.fail(100);
    let alone = Replica::join_as(&server, registry, settings("alone"));
    sleep(SETTLED).await;
    assert!(!tripped(&alone));
    calls.fail(5);
    sleep(FLUSH).await;
    assert!(tripped(&alone));
}

#[tokio::test(start_paused = true)]
async fn a_person_counts_before_automation() {
    let (_server, [one, other]) = fleet().await;
    one.set("search", FeatureState::Enabled, 600).await.unwrap();
    let calls = [&one, &other].map(|replica| Calls::of(&replica.registry, "search"));
    sleep(SECOND * 3).await;
    for calls in &calls {
        calls.fail(10);
    }
    sleep(FLUSH).await;
    soon().await;
    for replica in [&one, &other] {
        assert!(tripped(replica));
        assert_eq!(replica.imposed("search"), Some(FeatureState::Enabled));
    }
}

/// A part that is as broken as parts can be.
struct Broken;

impl Meter for Broken {
    fn read(&self, _readings: &mut Readings) {}

    fn count(&self, _counts: &mut Vec<Count>) {
        panic!("on purpose");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_panics_when_the_fleet_asks_for_its_counts_hides_no_other() {
    let (_server, [one, other]) = fleet().await;
    let broken = std::sync::Arc::new(Broken);
    one.registry.attach_meter(&broken);
    let calls = [&one, &other].map(|replica| Calls::of(&replica.registry, "search"));
    sleep(SECOND * 3).await;
    calls[0].fail(3);
    calls[1].fail(2);
    sleep(FLUSH).await;
    assert!(tripped(&one) && tripped(&other));
    assert!(one.fleet.is_in_touch(), "and it is no fault of the store");
}

#[tokio::test(start_paused = true)]
async fn what_one_of_two_flags_of_a_name_has_counted_is_not_told_again_when_the_other_goes() {
    let (_server, [alone]) = fleet().await;
    let calls = ["search"; 2].map(|flag| Calls::of(&alone.registry, flag));
    sleep(SETTLED).await;
    for calls in &calls {
        calls.fail(2);
    }
    sleep(FLUSH).await;
    let [stays, goes] = calls;
    drop(goes);
    sleep(FLUSH).await;
    assert!(!tripped(&alone), "four errors, of which none was new");
    stays.fail(1);
    sleep(FLUSH).await;
    assert!(tripped(&alone), "the fifth");
}

#[tokio::test(start_paused = true)]
async fn a_trip_that_is_over_does_not_begin_again_by_a_picture_that_comes_late() {
    let (_server, [one]) = fleet().await;
    let calls = Calls::of(&one.registry, "search");
    sleep(SETTLED).await;
    calls.fail(5);
    sleep(FLUSH).await;
    let until = one.trip("search").get().unwrap().until;
    sleep_until(until - SECOND / 10).await;
    one.faults.one(StoreOp::Picture, Fault::Late(SECOND / 2));
    // A write that has failed is reason to look at once.
    let failing = Fault::Fail(StoreErrorKind::Full);
    one.faults.one(StoreOp::Write, failing);
    one.set("other", FeatureState::Disabled, 60)
        .await
        .unwrap_err();
    // It says that a tenth of a second is left, of what has ended meanwhile.
    sleep_until(until + SECOND * 45 / 100).await;
    assert!(!tripped(&one));
}

/// Summaries end by the store's clock; when that is set, those who have not told it again yet live all the same.
#[tokio::test(start_paused = true)]
async fn a_store_whose_clock_is_set_forward_does_not_make_a_quorum_of_one() {
    for jump in [10, 20, 25, 60, 4_000] {
        let (server, [one, _other, third]) = fleet().await;
        let calls = Calls::of(&one.registry, "search");
        sleep(SETTLED * 2).await;
        for round in 0..5 {
            server.set_forward(SECOND * jump);
            for _ in 0..30 {
                calls.fail(1_000);
                sleep(SECOND).await;
                assert!(
                    !tripped(&one) && !tripped(&third),
                    "one of three is no quorum, round {round} of {jump} s"
                );
            }
        }
    }
}
