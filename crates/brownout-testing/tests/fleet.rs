//! The store in memory keeps its promises, also behind one that is faulty but was told nothing; and the suite finds out
//! a store that does not.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use brownout_registry::fleet::{
    Changes, Count, FleetStore, MemoryStore, Message, Outcome, Picture, Quorum, ReplicaId,
    Replicas, StackWrite, StoreError, StoreErrorKind, StoreOp, Summary,
};
use brownout_testing::fleet::{Fault, FaultyStore, conforms};
use tokio::time::{Instant, timeout};

/// Accesses to namespaces, each a server of its own.
#[derive(Default)]
struct Servers(RefCell<BTreeMap<String, MemoryStore>>);

impl Servers {
    fn store(&self, namespace: &str) -> MemoryStore {
        let mut servers = self.0.borrow_mut();
        servers.entry(namespace.to_owned()).or_default().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn the_store_in_memory_keeps_its_promises() {
    let servers = Servers::default();
    conforms(async |namespace: &str| servers.store(namespace)).await;
}

#[tokio::test(start_paused = true)]
async fn a_faulty_store_without_faults_keeps_the_promises_of_the_one_behind_it() {
    let servers = Servers::default();
    conforms(async |namespace: &str| FaultyStore::new(servers.store(namespace)).0).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "has not ended within")]
async fn a_store_that_hangs_is_found_out() {
    let servers = Servers::default();
    conforms(async |namespace: &str| {
        let (store, faults) = FaultyStore::new(servers.store(namespace));
        faults.one(StoreOp::Replicas, Fault::Hang);
        store
    })
    .await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "there is one already")]
async fn a_store_that_writes_over_anything_is_found_out() {
    let servers = Servers::default();
    conforms(async |namespace: &str| Careless(servers.store(namespace))).await;
}

/// Writes whatever is expected.
struct Careless(MemoryStore);

impl FleetStore for Careless {
    type Changes = <MemoryStore as FleetStore>::Changes;

    async fn subscribe(&self, replica: &ReplicaId) -> Result<Self::Changes, StoreError> {
        self.0.subscribe(replica).await
    }

    async fn picture(&self) -> Result<Picture, StoreError> {
        self.0.picture().await
    }

    async fn write(&self, mut writes: Vec<StackWrite>) -> Result<Vec<Outcome>, StoreError> {
        let stacks = self.0.picture().await?.stacks;
        for write in &mut writes {
            let present = stacks.iter().find(|stack| stack.target == write.target);
            write.expected = present.map(|stack| stack.stamp);
        }
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

#[tokio::test(start_paused = true)]
async fn faults_are_what_they_say() {
    let one = ReplicaId::new("one").unwrap();
    let second = Duration::from_secs(1);
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let mut changes = store.subscribe(&one).await.unwrap();

    faults.all(Fault::Hang);
    assert!(timeout(second, store.ping(&one, 1)).await.is_err());
    faults.all(Fault::None);
    assert!(
        timeout(second, changes.next()).await.is_err(),
        "it was not done"
    );

    faults.all(Fault::LoseAnswer);
    assert!(timeout(second, store.ping(&one, 2)).await.is_err());
    assert!(
        timeout(second, changes.next()).await.is_err(),
        "messages wait"
    );
    faults.all(Fault::None);
    assert_eq!(changes.next().await, Ok(Message::Canary(2)));

    faults.one(StoreOp::Ping, Fault::Delay(second));
    let begun = Instant::now();
    store.ping(&one, 3).await.unwrap();
    assert_eq!(begun.elapsed(), second);
    faults.one(StoreOp::Ping, Fault::None);

    faults.one(StoreOp::Ping, Fault::Late(second));
    assert!(timeout(second / 2, store.ping(&one, 8)).await.is_err());
    assert_eq!(changes.next().await, Ok(Message::Canary(3)));
    assert_eq!(changes.next().await, Ok(Message::Canary(8)));
    faults.one(StoreOp::Ping, Fault::None);

    faults.lose(1);
    store.ping(&one, 9).await.unwrap();
    store.ping(&one, 10).await.unwrap();
    assert_eq!(changes.next().await, Ok(Message::Canary(10)));

    faults.deafen();
    assert!(timeout(second, changes.next()).await.is_err());
    let mut again = store.subscribe(&one).await.unwrap();
    store.ping(&one, 4).await.unwrap();
    assert_eq!(again.next().await, Ok(Message::Canary(4)));
    assert!(timeout(second, changes.next()).await.is_err(), "for good");

    faults.cut();
    assert!(again.next().await.is_err());
    faults.all(Fault::Fail(StoreErrorKind::Full));
    let error = store.ping(&one, 5).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Full);
    assert_eq!(
        (
            faults.asked(StoreOp::Ping),
            faults.asked(StoreOp::Subscribe)
        ),
        (8, 2)
    );
}
