//! A store that hangs for ever, from the start: nothing that a call reads or writes waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brownout_registry::fleet::{
    Changes, Count, FleetStore, MemoryStore, Message, Outcome, Picture, Quorum, ReplicaId,
    Replicas, StackWrite, StoreError, Summary,
};
use brownout_registry::{
    CircuitMode, DegradationLevel, FeatureState, Report, ReporterKind, Status, SystemHealth,
};
use brownout_testing::fleet::{Fault, FaultyStore};
use tokio::time::{Instant, sleep};

use super::common::{Calls, Replica, SECOND, fleet, order, registry, settings};

/// Everything that a call, a layer or a page does with a registry; none of it is asynchronous, so none of it can wait.
fn use_it(registry: &brownout_registry::Registry) {
    let search = registry.dependency("search").register().unwrap();
    let reporter = search.reporter(ReporterKind::Circuit, "circuit");
    reporter.report(Report::unhealthy("gone"));
    assert_eq!(search.status(), Status::Unhealthy);
    assert_eq!(registry.level(), DegradationLevel::Reduced);
    assert_eq!(registry.health(), SystemHealth::Degraded);
    let mode = CircuitMode::ForcedClosed;
    let id = search.override_circuit(mode, order(60)).unwrap();
    assert_eq!(search.circuit_override().get().unwrap().value, mode);
    registry.release(id).unwrap();
    let flag = registry.flag_override("flag").unwrap();
    let state = FeatureState::Disabled;
    let id = registry.override_flag("flag", state, order(60)).unwrap();
    assert_eq!(flag.get().unwrap().value, state);
    registry.release(id).unwrap();
    assert!(registry.flag_trip("flag").unwrap().get().is_none());
    assert!(registry.snapshot().dependency("search").is_some());
    assert!(registry.readings().sync_age().is_some());
    let view = registry.fleet().unwrap().view();
    assert!(view.replicas.len() <= 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_a_store_that_hangs_from_the_start() {
    let registry = registry(1);
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    faults.all(Fault::Hang);
    let begun = Instant::now();
    let guard = registry.join_fleet(store, settings("one")).unwrap();
    use_it(&registry);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    sleep(SECOND * 300).await;
    use_it(&registry);
    let begun = Instant::now();
    drop(guard);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(registry.overrides().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_a_store_that_begins_to_hang() {
    let (_server, [one, other]) = fleet().await;
    let calls = Calls::of(&one.registry, "flag-of-calls");
    other
        .set("search", FeatureState::Degraded, 6_000)
        .await
        .unwrap();
    sleep(SECOND * 30).await;
    one.faults.all(Fault::Hang);
    for _ in 0..100 {
        calls.fail(1);
        let begun = Instant::now();
        use_it(&one.registry);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(one.imposed("search"), Some(FeatureState::Degraded));
        sleep(SECOND).await;
    }
    let Replica { guard, .. } = one;
    drop(guard);
}

#[test]
fn the_runtime_may_shut_down_while_operations_hang() {
    let registry = registry(1);
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    faults.all(Fault::Hang);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let guard = runtime.block_on(async {
        let guard = registry.join_fleet(store, settings("one")).unwrap();
        tokio::task::yield_now().await;
        guard
    });
    drop(runtime);
    use_it(&registry);
    assert!(!guard.fleet().is_in_touch());
    let store = registry.get("fleet-store").unwrap();
    assert_eq!(store.status(), Status::Degraded, "nobody keeps it in step");
    drop(guard);
    assert_eq!(store.status(), Status::Healthy);
    assert!(registry.fleet().is_none());
}

/// A store whose code keeps a thread busy, and then says that all is well.
struct Busy(MemoryStore, Arc<AtomicBool>);

struct BusyChanges(<MemoryStore as FleetStore>::Changes, Arc<AtomicBool>);

impl Changes for BusyChanges {
    async fn next(&mut self) -> Result<Message, StoreError> {
        let told = self.0.next().await;
        self.1.store(true, Ordering::SeqCst);
        // For real: a thread is to be busy while its runtime shuts down.
        std::thread::sleep(Duration::from_millis(300));
        told
    }
}

impl FleetStore for Busy {
    type Changes = BusyChanges;

    async fn subscribe(&self, replica: &ReplicaId) -> Result<BusyChanges, StoreError> {
        let busy = Arc::clone(&self.1);
        Ok(BusyChanges(self.0.subscribe(replica).await?, busy))
    }

    async fn picture(&self) -> Result<Picture, StoreError> {
        self.0.picture().await
    }

    async fn write(&self, writes: Vec<StackWrite>) -> Result<Vec<Outcome>, StoreError> {
        self.0.write(writes).await
    }

    async fn count(
        &self,
        replica: &ReplicaId,
        quorum: Quorum,
        counts: Vec<Count>,
    ) -> Result<(), StoreError> {
        self.0.count(replica, quorum, counts).await
    }

    async fn report(&self, summary: Summary, ttl: Duration) -> Result<(), StoreError> {
        self.0.report(summary, ttl).await
    }

    async fn replicas(&self) -> Result<Replicas, StoreError> {
        self.0.replicas().await
    }

    async fn ping(&self, replica: &ReplicaId, canary: u64) -> Result<(), StoreError> {
        self.0.ping(replica, canary).await
    }
}

#[test]
fn a_runtime_that_shuts_down_while_a_store_answers_leaves_nobody_in_touch() {
    let registry = registry(1);
    let busy = Arc::new(AtomicBool::new(false));
    let store = Busy(MemoryStore::new(), Arc::clone(&busy));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let guard = runtime.block_on(async { registry.join_fleet(store, settings("one")).unwrap() });
    while !busy.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    drop(runtime);
    // Whatever the thread may still do.
    std::thread::sleep(Duration::from_millis(100));
    assert!(!guard.fleet().is_in_touch(), "nobody keeps it in step");
    let store = registry.get("fleet-store").unwrap();
    assert_eq!(store.status(), Status::Degraded);
}
