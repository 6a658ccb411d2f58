//! A store that fails when it is told to.

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use brownout_registry::fleet::{
    Changes, Count, FleetStore, Message, Outcome, Picture, Quorum, ReplicaId, Replicas, StackWrite,
    StoreError, StoreErrorKind, StoreOp, Summary,
};
use tokio::sync::watch;
use tokio::time::sleep;

/// How operations fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// As the store itself has it.
    #[default]
    None,
    /// They never end, and do nothing. Messages wait until this is over.
    Hang,
    /// They fail at once, and do nothing. Subscriptions end.
    Fail(StoreErrorKind),
    /// They begin so much later. Messages come as they do.
    Delay(Duration),
    /// They are done at once, and end so much later. Messages come as they do.
    Late(Duration),
    /// They are done, but never end: the answer is lost. Messages wait until this is over.
    LoseAnswer,
}

/// A [`FleetStore`] between a replica and the real one.
///
/// ```
/// use brownout_registry::fleet::{FleetStore, MemoryStore, StoreErrorKind};
/// use brownout_testing::fleet::{Fault, FaultyStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let server = MemoryStore::new();
/// let (store, faults) = FaultyStore::new(server.clone());
/// faults.all(Fault::Fail(StoreErrorKind::Unreachable));
/// assert!(store.picture().await.is_err());
/// faults.all(Fault::None);
/// assert!(store.picture().await.is_ok());
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct FaultyStore<S> {
    inner: S,
    faults: StoreFaults,
}

/// Steers the [`FaultyStore`] that it was made with. Clones are the same.
#[derive(Clone)]
pub struct StoreFaults {
    state: Arc<watch::Sender<State>>,
}

/// What subscriptions of a [`FaultyStore`] read from.
#[derive(Debug)]
pub struct FaultyChanges<C> {
    inner: C,
    faults: StoreFaults,
    state: watch::Receiver<State>,
    /// Which of its store's subscriptions it is.
    number: u64,
}

#[derive(Debug, Default)]
struct State {
    faults: BTreeMap<StoreOp, Fault>,
    asked: BTreeMap<StoreOp, u64>,
    /// Subscriptions up to this one hear nothing any more.
    deaf: u64,
    /// Subscriptions up to this one have ended.
    cut: u64,
    /// So many messages are still to be lost.
    lose: u64,
}

impl<S> FaultyStore<S> {
    /// A store that does what `inner` does, until its faults say otherwise.
    pub fn new(inner: S) -> (Self, StoreFaults) {
        let faults = StoreFaults {
            state: Arc::new(watch::Sender::new(State::default())),
        };
        let store = Self {
            inner,
            faults: faults.clone(),
        };
        (store, faults)
    }

    async fn run<T>(
        &self,
        op: StoreOp,
        run: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match self.faults.ask(op) {
            Fault::None => run.await,
            Fault::Hang => pending().await,
            Fault::Fail(kind) => Err(on_purpose(kind)),
            Fault::Delay(delay) => {
                sleep(delay).await;
                run.await
            }
            Fault::Late(delay) => {
                let answer = run.await;
                sleep(delay).await;
                answer
            }
            Fault::LoseAnswer => {
                // The answer is what is lost, whatever it says.
                let _lost = run.await;
                pending().await
            }
        }
    }
}

impl StoreFaults {
    /// How all operations fare from now on, and whether messages come.
    pub fn all(&self, fault: Fault) {
        self.state.send_modify(|state| {
            state.faults = StoreOp::ALL.iter().map(|&op| (op, fault)).collect();
        });
    }

    /// How one operation fares from now on.
    pub fn one(&self, op: StoreOp, fault: Fault) {
        self.state.send_modify(|state| {
            state.faults.insert(op, fault);
        });
    }

    /// The subscriptions there are hear nothing any more, and are not told so.
    pub fn deafen(&self) {
        self.state
            .send_modify(|state| state.deaf = state.asked_for(StoreOp::Subscribe));
    }

    /// The subscriptions there are end with an error.
    pub fn cut(&self) {
        self.state
            .send_modify(|state| state.cut = state.asked_for(StoreOp::Subscribe));
    }

    /// The next so many messages are lost on their way.
    pub fn lose(&self, messages: u64) {
        self.state.send_modify(|state| state.lose = messages);
    }

    /// How often an operation was asked for so far.
    pub fn asked(&self, op: StoreOp) -> u64 {
        self.state.borrow().asked_for(op)
    }

    /// Whether a message that has come is to be lost.
    fn loses(&self) -> bool {
        self.state.send_if_modified(|state| {
            let loses = state.lose > 0;
            state.lose = state.lose.saturating_sub(1);
            loses
        })
    }

    fn ask(&self, op: StoreOp) -> Fault {
        let mut fault = Fault::None;
        self.state.send_if_modified(|state| {
            *state.asked.entry(op).or_default() += 1;
            fault = state.fault(op);
            false
        });
        fault
    }
}

impl State {
    fn asked_for(&self, op: StoreOp) -> u64 {
        self.asked.get(&op).copied().unwrap_or_default()
    }

    fn fault(&self, op: StoreOp) -> Fault {
        self.faults.get(&op).copied().unwrap_or_default()
    }
}

impl<S: FleetStore> FleetStore for FaultyStore<S> {
    type Changes = FaultyChanges<S::Changes>;

    async fn subscribe(&self, replica: &ReplicaId) -> Result<Self::Changes, StoreError> {
        let inner = self
            .run(StoreOp::Subscribe, self.inner.subscribe(replica))
            .await?;
        let state = self.faults.state.subscribe();
        let number = state.borrow().asked_for(StoreOp::Subscribe);
        let faults = self.faults.clone();
        Ok(FaultyChanges {
            inner,
            faults,
            state,
            number,
        })
    }

    async fn picture(&self) -> Result<Picture, StoreError> {
        self.run(StoreOp::Picture, self.inner.picture()).await
    }

    async fn write(&self, writes: Vec<StackWrite>) -> Result<Vec<Outcome>, StoreError> {
        self.run(StoreOp::Write, self.inner.write(writes)).await
    }

    async fn count(
        &self,
        replica: &ReplicaId,
        quorum: Quorum,
        counts: Vec<Count>,
    ) -> Result<(), StoreError> {
        let run = self.inner.count(replica, quorum, counts);
        self.run(StoreOp::Count, run).await
    }

    async fn report(&self, summary: Summary, ttl: Duration) -> Result<(), StoreError> {
        self.run(StoreOp::Report, self.inner.report(summary, ttl))
            .await
    }

    async fn replicas(&self) -> Result<Replicas, StoreError> {
        self.run(StoreOp::Replicas, self.inner.replicas()).await
    }

    async fn ping(&self, replica: &ReplicaId, canary: u64) -> Result<(), StoreError> {
        self.run(StoreOp::Ping, self.inner.ping(replica, canary))
            .await
    }
}

impl<C: Changes> Changes for FaultyChanges<C> {
    async fn next(&mut self) -> Result<Message, StoreError> {
        loop {
            let (fault, deaf, cut) = {
                let state = self.state.borrow_and_update();
                (
                    state.fault(StoreOp::Changes),
                    self.number <= state.deaf,
                    self.number <= state.cut,
                )
            };
            if let (_, true) | (Fault::Fail(_), _) = (fault, cut) {
                return Err(on_purpose(match fault {
                    Fault::Fail(kind) => kind,
                    _ => StoreErrorKind::Unreachable,
                }));
            }
            let silent = deaf || matches!(fault, Fault::Hang | Fault::LoseAnswer);
            tokio::select! {
                biased;
                // Its sender cannot be gone while the store lives; without it, nothing changes any more.
                Ok(()) = self.state.changed() => {}
                message = self.inner.next(), if !silent => {
                    if !self.faults.loses() {
                        return message;
                    }
                }
                else => pending().await,
            }
        }
    }
}

fn on_purpose(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "on purpose, in a test")
}

impl fmt::Debug for StoreFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFaults")
            .field("state", &*self.state.borrow())
            .finish()
    }
}
