//! What the log says of the store: each trouble once. Apart from other tests, which would register the same places of
//! the log with no subscriber at hand.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "fleet/common.rs"]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use brownout_registry::FeatureState;
use brownout_registry::fleet::{
    Changes, Count, FleetStore, MemoryStore, Message, Outcome, Picture, Quorum, ReplicaId,
    Replicas, StackWrite, StoreError, StoreErrorKind, StoreOp, Summary,
};
use brownout_registry::{Status, SystemHealth};
use brownout_testing::LogCapture;
use brownout_testing::fleet::{Fault, FaultyStore};
use tokio::time::sleep;

use self::common::{Calls, REPAIR, Replica, SECOND, fleet, registry, settings, soon};

fn said(log: &LogCapture, level: tracing::Level) -> Vec<String> {
    log.records()
        .into_iter()
        .filter(|record| record.level == level && record.message.contains("fleet store"))
        .map(|record| record.message)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn each_trouble_is_logged_once_and_so_is_its_end() {
    let log = LogCapture::start();
    let (_server, [one]) = fleet().await;
    assert_eq!(said(&log, tracing::Level::INFO), ["fleet store is there"]);
    one.faults.all(Fault::Fail(StoreErrorKind::Unreachable));
    sleep(SECOND * 600).await;
    assert_eq!(said(&log, tracing::Level::WARN).len(), 1);
    one.faults.all(Fault::Fail(StoreErrorKind::Refused));
    sleep(SECOND * 600).await;
    assert_eq!(said(&log, tracing::Level::WARN).len(), 2, "another reason");
    one.faults.all(Fault::None);
    sleep(SECOND * 600).await;
    let told = said(&log, tracing::Level::INFO);
    assert_eq!(told, ["fleet store is there", "fleet store is back"]);
    assert_eq!(said(&log, tracing::Level::WARN).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_tells_nothing_but_shows_everything_is_one_trouble() {
    let log = LogCapture::start();
    let (_server, [one]) = fleet().await;
    one.faults.one(StoreOp::Changes, Fault::Hang);
    sleep(SECOND * 600).await;
    assert_eq!(said(&log, tracing::Level::WARN).len(), 1);
    assert_eq!(said(&log, tracing::Level::INFO), ["fleet store is there"]);
    one.faults.one(StoreOp::Changes, Fault::None);
    sleep(SECOND * 60).await;
    let told = said(&log, tracing::Level::INFO);
    assert_eq!(told, ["fleet store is there", "fleet store is back"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_now_this_way_now_that_is_two_troubles() {
    let log = LogCapture::start();
    let (_server, [one]) = fleet().await;
    for _ in 0..20 {
        one.faults.all(Fault::Fail(StoreErrorKind::Unreachable));
        sleep(SECOND * 30).await;
        one.faults.all(Fault::Hang);
        sleep(SECOND * 30).await;
    }
    assert_eq!(said(&log, tracing::Level::WARN).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_never_there_is_not_called_lost() {
    let log = LogCapture::start();
    let registry = registry(7);
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    faults.all(Fault::Fail(StoreErrorKind::Refused));
    let guard = registry.join_fleet(store, settings("one")).unwrap();
    sleep(SECOND * 100).await;
    let told = said(&log, tracing::Level::WARN);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("not reached"), "{told:?}");
    let snapshot = registry.snapshot();
    let store = snapshot.dependency("fleet-store").unwrap();
    let message = store.reports[0].message.as_deref().unwrap();
    assert!(message.ends_with("never yet; defaults in use"), "{message}");
    faults.all(Fault::None);
    guard.fleet().in_touch().await;
    faults.all(Fault::Fail(StoreErrorKind::Refused));
    sleep(SECOND * 100).await;
    assert!(said(&log, tracing::Level::WARN)[1].contains("lost"));
}

#[tokio::test(start_paused = true)]
async fn overrides_that_a_store_has_lost_are_told_of_by_whoever_writes_them_again() {
    let log = LogCapture::start();
    let (server, [one, _other]) = fleet().await;
    for n in 0..3 {
        one.set(&format!("flag-{n}"), FeatureState::Disabled, 6_000)
            .await
            .unwrap();
    }
    soon().await;
    server.flush();
    sleep(REPAIR * 2).await;
    let told = log.records().into_iter();
    let told: Vec<_> = told
        .filter(|record| record.message.contains("had lost overrides"))
        .map(|record| record.field("targets").map(str::to_owned))
        .collect();
    assert_eq!(told, [Some("3".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn leaving_is_told_and_no_trouble() {
    let log = LogCapture::start();
    let (_server, [one]) = fleet().await;
    one.faults.all(Fault::Hang);
    drop(one.guard);
    sleep(SECOND * 100).await;
    assert_eq!(said(&log, tracing::Level::WARN), [""; 0]);
    let left = |record: &brownout_testing::LogRecord| record.message == "fleet left";
    assert_eq!(
        log.records().iter().filter(|record| left(record)).count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn two_processes_of_one_name_are_told_and_one_after_the_other_is_not() {
    let log = LogCapture::start();
    let server = MemoryStore::new();
    let twins = || {
        let told = log.records().into_iter();
        let told = told.filter(|record| record.message.contains("under this replica's name"));
        told.count()
    };
    for seed in 0..5 {
        let one = Replica::join_as(&server, registry(seed), settings("same"));
        sleep(SECOND * 60).await;
        drop(one);
    }
    assert_eq!(twins(), 0);
    let _one = Replica::join_as(&server, registry(5), settings("same"));
    let _other = Replica::join_as(&server, registry(6), settings("same"));
    sleep(SECOND * 60).await;
    assert_eq!(twins(), 2, "each says so once");
    sleep(SECOND * 3_000).await;
    assert_eq!(twins(), 2);
}

/// Holds something that is not ours, or panics.
#[derive(Clone)]
struct Odd {
    inner: MemoryStore,
    panics: bool,
    mended: Arc<AtomicBool>,
}

struct OddChanges(<MemoryStore as FleetStore>::Changes);

impl Changes for OddChanges {
    async fn next(&mut self) -> Result<Message, StoreError> {
        self.0.next().await
    }
}

impl FleetStore for Odd {
    type Changes = OddChanges;

    async fn subscribe(&self, replica: &ReplicaId) -> Result<OddChanges, StoreError> {
        Ok(OddChanges(self.inner.subscribe(replica).await?))
    }

    async fn picture(&self) -> Result<Picture, StoreError> {
        assert!(!self.panics, "a store that panics");
        let damage = StoreError::new(StoreErrorKind::Damaged, "flag:x is no stack");
        let picture = self.inner.picture().await?;
        let mended = self.mended.load(Ordering::Relaxed);
        Ok(Picture {
            damage: (!mended).then_some(damage),
            ..picture
        })
    }

    async fn write(&self, writes: Vec<StackWrite>) -> Result<Vec<Outcome>, StoreError> {
        self.inner.write(writes).await
    }

    async fn count(
        &self,
        replica: &ReplicaId,
        quorum: Quorum,
        counts: Vec<Count>,
    ) -> Result<(), StoreError> {
        self.inner.count(replica, quorum, counts).await
    }

    async fn report(&self, summary: Summary, ttl: std::time::Duration) -> Result<(), StoreError> {
        self.inner.report(summary, ttl).await
    }

    async fn replicas(&self) -> Result<Replicas, StoreError> {
        self.inner.replicas().await
    }

    async fn ping(&self, replica: &ReplicaId, canary: u64) -> Result<(), StoreError> {
        self.inner.ping(replica, canary).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_a_warning_and_the_rest_is_used() {
    let log = LogCapture::start();
    let (server, [one]) = fleet().await;
    one.set("search", FeatureState::Disabled, 6_000)
        .await
        .unwrap();
    let registry = registry(7);
    let odd = Odd {
        inner: server,
        panics: false,
        mended: Arc::default(),
    };
    let _guard = registry.join_fleet(odd, settings("odd")).unwrap();
    soon().await;
    sleep(SECOND * 300).await;
    assert!(registry.flag_override("search").unwrap().get().is_some());
    assert_eq!(registry.health(), SystemHealth::Degraded);
    let warned = said(&log, tracing::Level::WARN);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("cannot be read"));
}

#[tokio::test(start_paused = true)]
async fn damage_that_comes_and_goes_is_told_again_only_after_it_was_away_for_long() {
    let log = LogCapture::start();
    let registry = registry(7);
    let mended = Arc::<AtomicBool>::default();
    let odd = Odd {
        inner: MemoryStore::new(),
        panics: false,
        mended: Arc::clone(&mended),
    };
    let _guard = registry.join_fleet(odd, settings("odd")).unwrap();
    for _ in 0..20 {
        sleep(REPAIR).await;
        mended.fetch_not(Ordering::Relaxed);
    }
    assert_eq!(said(&log, tracing::Level::WARN).len(), 1);
    mended.store(true, Ordering::Relaxed);
    sleep(SECOND * 700).await;
    assert_eq!(registry.health(), SystemHealth::Healthy);
    mended.store(false, Ordering::Relaxed);
    sleep(REPAIR).await;
    assert_eq!(said(&log, tracing::Level::WARN).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_every_other_second_is_told_once() {
    let log = LogCapture::start();
    let (_server, [one]) = fleet().await;
    let calls = Calls::of(&one.registry, "search");
    for round in 0..100 {
        let fault = match round % 2 {
            0 => Fault::Fail(StoreErrorKind::Full),
            _ => Fault::None,
        };
        one.faults.one(StoreOp::Count, fault);
        calls.succeed(1);
        sleep(SECOND * 2).await;
    }
    assert_eq!(said(&log, tracing::Level::WARN).len(), 1);
    assert!(one.fleet.is_in_touch());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_is_a_store_that_is_away() {
    let log = LogCapture::start();
    let registry = registry(7);
    let odd = Odd {
        inner: MemoryStore::new(),
        panics: true,
        mended: Arc::default(),
    };
    let guard = registry.join_fleet(odd, settings("odd")).unwrap();
    sleep(SECOND * 300).await;
    let snapshot = registry.snapshot();
    let store = snapshot.dependency("fleet-store").unwrap();
    assert_eq!(store.status, Status::Degraded);
    assert_eq!(said(&log, tracing::Level::WARN).len(), 1);
    assert!(!guard.fleet().is_in_touch());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_was_away_converges_without_a_word_too_many() {
    let log = LogCapture::start();
    let (server, [one]) = fleet().await;
    for n in 0..20 {
        one.set(&format!("flag-{n}"), FeatureState::Disabled, 6_000)
            .await
            .unwrap();
    }
    let _late = Replica::join(&server, 9);
    sleep(REPAIR * 3).await;
    let set = log
        .records()
        .into_iter()
        .filter(|record| record.message == "override set")
        .count();
    assert_eq!(set, 40, "each override once on each replica");
}

#[tokio::test(start_paused = true)]
async fn damage_that_stays_is_told_once_however_seldom_anybody_looks() {
    let log = LogCapture::start();
    let registry = registry(7);
    let odd = Odd {
        inner: MemoryStore::new(),
        panics: false,
        mended: Arc::default(),
    };
    let seldom = settings("odd").repair(SECOND * 3_600);
    let _guard = registry.join_fleet(odd, seldom).unwrap();
    sleep(SECOND * 36_000).await;
    assert_eq!(said(&log, tracing::Level::WARN).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_stays_is_told_once_however_seldom_it_is_asked_for() {
    let log = LogCapture::start();
    let (_server, [one]) = fleet().await;
    let calls = Calls::of(&one.registry, "search");
    one.faults
        .one(StoreOp::Count, Fault::Fail(StoreErrorKind::Refused));
    for _ in 0..10 {
        calls.succeed(1);
        sleep(SECOND * 1_000).await;
    }
    assert_eq!(said(&log, tracing::Level::WARN).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_lost_for_what_was_only_in_the_way_before_is_told_to_be_lost() {
    let log = LogCapture::start();
    let registry = registry(7);
    let odd = Odd {
        inner: MemoryStore::new(),
        panics: false,
        mended: Arc::default(),
    };
    let (store, faults) = FaultyStore::new(odd);
    let guard = registry.join_fleet(store, settings("odd")).unwrap();
    sleep(REPAIR).await;
    assert!(guard.fleet().is_in_touch());
    faults.one(StoreOp::Picture, Fault::Fail(StoreErrorKind::Damaged));
    sleep(REPAIR).await;
    assert!(!guard.fleet().is_in_touch());
    let warned = said(&log, tracing::Level::WARN);
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(warned[1].starts_with("fleet store lost"));
}
