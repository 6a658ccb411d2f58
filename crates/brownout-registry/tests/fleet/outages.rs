//! The store is away, deaf, slow, or gone: what is known stays, and what was missed is made up for.

use brownout_registry::fleet::{FleetError, FleetStore, ReplicaId, StoreErrorKind, StoreOp};
use brownout_registry::{FeatureState, OverrideValue};
use brownout_testing::fleet::Fault;
use tokio::time::{Instant, sleep};

use super::common::{REPAIR, Replica, SECOND, fleet, order, soon, target};

const AWAY: Fault = Fault::Fail(StoreErrorKind::Unreachable);

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_made_up_for_within_a_repair() {
    for away in [AWAY, Fault::Hang, Fault::LoseAnswer] {
        let (_server, [one, other]) = fleet().await;
        one.set("kept", FeatureState::Degraded, 6_000)
            .await
            .unwrap();
        let gone = one
            .set("gone", FeatureState::Degraded, 6_000)
            .await
            .unwrap();
        soon().await;
        other.faults.all(away);
        sleep(SECOND * 60).await;
        one.fleet.release(target("gone"), gone).await.unwrap();
        one.set("new", FeatureState::Disabled, 6_000).await.unwrap();
        sleep(SECOND * 600).await;
        assert_eq!(
            other.imposed("gone"),
            Some(FeatureState::Degraded),
            "{away:?}"
        );
        assert_eq!(other.imposed("new"), None);
        other.faults.all(Fault::None);
        sleep(REPAIR).await;
        assert_eq!(other.held(), one.held(), "after {away:?}");
        assert_eq!(other.held().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_goes_deaf_is_found_out_within_seconds() {
    let (_server, [one, other]) = fleet().await;
    sleep(SECOND * 100).await;
    let subscribed = other.faults.asked(StoreOp::Subscribe);
    assert_eq!(subscribed, 1, "a subscription that works is left alone");
    other.faults.deafen();
    one.set("search", FeatureState::Disabled, 600)
        .await
        .unwrap();
    // A ping, the time that its canary has, and a first wait.
    sleep(SECOND * 10).await;
    assert_eq!(other.imposed("search"), Some(FeatureState::Disabled));
    assert_eq!(other.faults.asked(StoreOp::Subscribe), 2);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_breaks_off_is_made_anew() {
    let (_server, [one, other]) = fleet().await;
    other.faults.cut();
    sleep(SECOND * 2).await;
    one.set("search", FeatureState::Disabled, 600)
        .await
        .unwrap();
    soon().await;
    assert_eq!(other.imposed("search"), Some(FeatureState::Disabled));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_never_tells_anything_is_no_contact_for_long() {
    let (_server, [one, other]) = fleet().await;
    // Each new subscription is deaf from the start, though all else works.
    other.faults.one(StoreOp::Changes, Fault::Hang);
    sleep(SECOND * 60).await;
    assert!(!other.fleet.is_in_touch(), "pictures alone are no proof");
    // Still each attempt brings a picture.
    one.set("search", FeatureState::Disabled, 600)
        .await
        .unwrap();
    sleep(SECOND * 30).await;
    assert_eq!(other.imposed("search"), Some(FeatureState::Disabled));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_missing_is_noticed_with_the_next() {
    let (_server, [one, other]) = fleet().await;
    // Away from pings, so that the message is what is lost.
    other.faults.lose(1);
    one.set("first", FeatureState::Disabled, 600).await.unwrap();
    soon().await;
    assert_eq!(other.imposed("first"), None);
    one.set("second", FeatureState::Disabled, 600)
        .await
        .unwrap();
    // Not at the same moment as all the others who have missed it.
    sleep(SECOND * 2).await;
    assert_eq!(other.held(), one.held());
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_was_taken_before_a_decision_does_not_undo_it() {
    let (_server, [one]) = fleet().await;
    one.faults.one(StoreOp::Picture, Fault::Late(SECOND));
    let mut events = one.registry.events();
    let mut told = 0;
    let mut last = None;
    for n in 0..100 {
        let state = FeatureState::ALL[n % 3];
        let id = one.set("search", state, 600).await.unwrap();
        if let Some(last) = last.replace(id) {
            one.fleet.release(target("search"), last).await.unwrap();
        }
        for _ in 0..10 {
            assert_eq!(one.imposed("search"), Some(state), "decision {n}");
            assert_eq!(one.held().len(), 1);
            sleep(SECOND / 10).await;
        }
        while events.try_recv().is_some() {
            told += 1;
        }
    }
    assert_eq!(
        told, 199,
        "each is set once and released once, not even for a moment otherwise"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_late_ends_when_it_should() {
    let (_server, [one, other]) = fleet().await;
    other.faults.one(StoreOp::Changes, Fault::Hang);
    one.set("search", FeatureState::Disabled, 60).await.unwrap();
    sleep(SECOND * 3 / 2).await;
    other.faults.one(StoreOp::Changes, Fault::None);
    soon().await;
    let ends = [&one, &other].map(|replica| {
        let search = replica.registry.flag_override("search").unwrap();
        search.get().unwrap().until
    });
    let apart = ends[1].saturating_duration_since(ends[0]);
    assert!(apart < SECOND / 10, "{apart:?} after the first");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_back_and_on_by_another_way_is_noticed_by_its_picture() {
    let (server, [one, other]) = fleet().await;
    // The one that is lost: written while nobody's subscription heard it.
    let saved = server.save();
    one.set("first", FeatureState::Disabled, 600).await.unwrap();
    soon().await;
    assert_eq!(other.held().len(), 1);
    // Two revisions on, of which the first is told to nobody.
    server.restore(&saved);
    let quiet = Replica::join(&server, 7);
    soon().await;
    quiet
        .set("second", FeatureState::Disabled, 600)
        .await
        .unwrap();
    sleep(SECOND * 10).await;
    quiet
        .set("third", FeatureState::Disabled, 600)
        .await
        .unwrap();
    sleep(REPAIR).await;
    let expected = quiet.held();
    assert_eq!(other.held(), expected);
    assert_eq!(one.held(), expected);
    assert_eq!(expected.len(), 3, "what the store has lost is there again");
}

#[tokio::test(start_paused = true)]
async fn a_decision_while_the_store_is_away_fails_clearly_and_in_time() {
    let (_server, [one]) = fleet().await;
    for (fault, kind) in [
        (AWAY, StoreErrorKind::Unreachable),
        (Fault::Hang, StoreErrorKind::TimedOut),
        (Fault::Fail(StoreErrorKind::Full), StoreErrorKind::Full),
    ] {
        one.faults.one(StoreOp::Write, fault);
        let begun = Instant::now();
        let error = one.set("search", FeatureState::Disabled, 600).await;
        let Err(FleetError::Store(error)) = error else {
            panic!("{fault:?}: {error:?}");
        };
        assert_eq!(error.kind(), kind);
        assert!(begun.elapsed() <= SECOND * 4);
        assert_eq!(one.imposed("search"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_shows_in_the_end() {
    let (_server, [one, other]) = fleet().await;
    one.faults.one(StoreOp::Write, Fault::LoseAnswer);
    let set = one.set("search", FeatureState::Disabled, 600).await;
    assert!(matches!(set, Err(FleetError::Store(_))));
    soon().await;
    assert_eq!(other.imposed("search"), Some(FeatureState::Disabled));
    assert_eq!(one.imposed("search"), Some(FeatureState::Disabled));
}

#[tokio::test(start_paused = true)]
async fn two_hundred_replicas_do_not_storm_a_store_that_is_away() {
    let server = brownout_registry::fleet::MemoryStore::new();
    let replicas: Vec<_> = (0..200).map(|n| Replica::join(&server, n)).collect();
    sleep(SECOND * 60).await;
    for replica in &replicas {
        replica.faults.all(AWAY);
    }
    let asked = || -> u64 {
        let all = |replica: &Replica| -> u64 {
            StoreOp::ALL
                .iter()
                .map(|op| replica.faults.asked(*op))
                .sum()
        };
        replicas.iter().map(all).sum()
    };
    let mut worst_late = 0;
    let mut before = asked();
    for second in 0..120 {
        sleep(SECOND).await;
        let now = asked();
        let made = now - before;
        before = now;
        // At the loss all notice at the same moment; the first waits spread them.
        assert!(made <= 1_000, "{made} operations in second {second}");
        if second > 30 {
            worst_late = worst_late.max(made);
        }
    }
    assert!(
        worst_late <= 40,
        "{worst_late} attempts in one second of a long outage"
    );
    for replica in &replicas {
        replica.faults.all(Fault::None);
    }
    sleep(REPAIR).await;
    assert!(replicas.iter().all(|replica| replica.fleet.is_in_touch()));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lets_in_and_breaks_off_is_not_stormed_either() {
    let (_server, [one]) = fleet().await;
    one.faults.one(StoreOp::Changes, AWAY);
    sleep(SECOND * 60).await;
    let before = one.faults.asked(StoreOp::Subscribe);
    sleep(SECOND * 300).await;
    let made = one.faults.asked(StoreOp::Subscribe) - before;
    assert!(made <= 40, "{made} subscriptions in five minutes");
}

#[tokio::test(start_paused = true)]
async fn however_many_decide_while_the_store_hangs_each_is_told_in_time() {
    let (_server, [one]) = fleet().await;
    one.faults.one(StoreOp::Write, Fault::Hang);
    let begun = Instant::now();
    let deciding: Vec<_> = (0..300)
        .map(|n| {
            let fleet = one.fleet.clone();
            let value = OverrideValue::Flag(FeatureState::Disabled);
            tokio::spawn(async move {
                let flag = target(&format!("flag-{n}"));
                fleet.set(flag, value, order(600)).await
            })
        })
        .collect();
    for deciding in deciding {
        let told = deciding.await.unwrap();
        assert!(matches!(told, Err(FleetError::Store(_))), "{told:?}");
    }
    let waited = begun.elapsed();
    assert!(waited <= SECOND * 5, "twice the timeout, not {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_nothing_back_is_asked_no_more_often_than_any() {
    for kind in [
        StoreErrorKind::Full,
        StoreErrorKind::Refused,
        StoreErrorKind::Damaged,
    ] {
        let (server, [one]) = fleet().await;
        one.set("search", FeatureState::Disabled, 6_000)
            .await
            .unwrap();
        // It can be read, in some time, but takes no writes; and then loses what it held.
        one.faults.one(StoreOp::Picture, Fault::Late(SECOND / 100));
        one.faults.one(StoreOp::Write, Fault::Fail(kind));
        server.flush();
        sleep(REPAIR).await;
        let (pictures, writes) = (StoreOp::Picture, StoreOp::Write);
        let before = (one.faults.asked(pictures), one.faults.asked(writes));
        sleep(SECOND * 300).await;
        let asked = one.faults.asked(pictures) - before.0;
        assert!(asked <= 21, "{asked} pictures in five minutes of {kind}");
        let asked = one.faults.asked(writes) - before.1;
        assert!(asked <= 21, "{asked} writes in five minutes of {kind}");
        one.faults.one(writes, Fault::None);
        sleep(REPAIR).await;
        let there = server.picture().await.unwrap().stacks;
        assert_eq!(there.len(), 1, "it is taken back in the end");
    }
}

/// What waits for a slow reader is bounded, and what is gone for that may be the replica's own message to itself.
#[tokio::test(start_paused = true)]
async fn a_replica_whose_own_message_was_among_too_many_is_not_deaf() {
    let (server, [one]) = fleet().await;
    let others = ReplicaId::new("others").unwrap();
    for _ in 0..20 {
        let pinged = one.faults.asked(StoreOp::Ping);
        one.faults.one(StoreOp::Changes, Fault::Hang);
        while one.faults.asked(StoreOp::Ping) == pinged {
            sleep(SECOND / 100).await;
        }
        for number in 0..1_100 {
            server.ping(&others, number).await.unwrap();
        }
        sleep(SECOND / 2).await;
        one.faults.one(StoreOp::Changes, Fault::None);
        sleep(SECOND * 3).await;
        assert!(one.fleet.is_in_touch());
        assert_eq!(one.faults.asked(StoreOp::Subscribe), 1);
    }
}
