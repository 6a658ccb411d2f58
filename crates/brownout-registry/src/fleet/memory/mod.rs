//! A store in the memory of one process.

mod changes;
mod data;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::counted::{Count, Quorum, Replicas, Summary};
use super::error::StoreError;
use super::pushed::{Message, Outcome, Picture, StackWrite};
use super::store::FleetStore;
use super::values::{ReplicaId, StoreTime};

pub use self::changes::MemoryChanges;
use self::changes::Ring;
use self::data::Data;

/// A [`FleetStore`] in the memory of this process: clones are accesses to the same store.
///
/// For tests, and for programs that hold several registries. Its clock is tokio's.
///
/// ```
/// use brownout_registry::fleet::{FleetStore, MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let one = MemoryStore::new();
/// let other = one.clone();
/// let before = one.picture().await.unwrap();
/// other.flush();
/// assert!(one.picture().await.unwrap().version.epoch > before.version.epoch);
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    server: Arc<Server>,
}

/// What a [`MemoryStore`] held at one moment.
#[derive(Clone)]
pub struct Saved(Data);

struct Server {
    /// When the store's clock stood at [`BEGINNING`].
    origin: Instant,
    held: Mutex<Held>,
    /// Wakes subscribers.
    told: Arc<Notify>,
}

struct Held {
    data: Data,
    ring: Ring,
    /// The last epoch that was begun, whatever has been restored since.
    epoch: u64,
    /// By how much its clock was set forward.
    ahead: Duration,
}

/// Not zero, so that what mistakes the store's time for a distance is found out.
const BEGINNING: u64 = 1_000_000;

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        let held = Held {
            data: Data::new(1, StoreTime(BEGINNING)),
            ring: Ring::default(),
            epoch: 1,
            ahead: Duration::ZERO,
        };
        Self {
            server: Arc::new(Server {
                origin: Instant::now(),
                held: Mutex::new(held),
                told: Arc::new(Notify::new()),
            }),
        }
    }

    /// Forgets everything, and begins a new epoch. Nobody is told: nor does a server that is flushed.
    pub fn flush(&self) {
        let mut held = self.server.lock();
        held.epoch += 1;
        held.data = Data::new(held.epoch, self.server.now(&held));
    }

    /// What it holds, to be [restored](Self::restore).
    pub fn save(&self) -> Saved {
        Saved(self.server.lock().data.clone())
    }

    /// Goes back to what it held then, epoch and revision included, as a server does that comes back from a backup.
    pub fn restore(&self, saved: &Saved) {
        self.server.lock().data = saved.0.clone();
    }

    /// Sets its clock forward by so much; what would have ended by then is over.
    pub fn set_forward(&self, by: Duration) {
        let mut held = self.server.lock();
        held.ahead = held.ahead.saturating_add(by);
    }

    /// Runs a change, and tells subscribers, once the lock is released, of what it wants to be told.
    fn change<R>(&self, change: impl FnOnce(&mut Data, StoreTime) -> (R, Option<Message>)) -> R {
        let mut held = self.server.lock();
        // Read under the lock, so that time goes forward from one change to the next.
        let now = self.server.now(&held);
        held.data.expire(now);
        let (result, message) = change(&mut held.data, now);
        let tells = message.is_some();
        if let Some(message) = message {
            held.ring.push(None, message);
        }
        drop(held);
        if tells {
            self.server.told.notify_waiters();
        }
        result
    }
}

impl FleetStore for MemoryStore {
    type Changes = MemoryChanges;

    async fn subscribe(&self, replica: &ReplicaId) -> Result<MemoryChanges, StoreError> {
        Ok(MemoryChanges::new(&self.server, replica.clone()))
    }

    async fn picture(&self) -> Result<Picture, StoreError> {
        Ok(self.change(|data, now| (data.picture(now), None)))
    }

    async fn write(&self, writes: Vec<StackWrite>) -> Result<Vec<Outcome>, StoreError> {
        Ok(self.change(|data, now| data.write(writes, now)))
    }

    async fn count(
        &self,
        replica: &ReplicaId,
        quorum: Quorum,
        counts: Vec<Count>,
    ) -> Result<(), StoreError> {
        self.change(|data, now| ((), data.count(replica, quorum, counts, now)));
        Ok(())
    }

    async fn report(&self, summary: Summary, ttl: Duration) -> Result<(), StoreError> {
        self.change(|data, now| (data.report(summary, now.after(ttl), now), None));
        Ok(())
    }

    async fn replicas(&self) -> Result<Replicas, StoreError> {
        Ok(self.change(|data, now| (data.replicas(now), None)))
    }

    async fn ping(&self, replica: &ReplicaId, canary: u64) -> Result<(), StoreError> {
        let whose = Some(replica.clone());
        self.server.lock().ring.push(whose, Message::Canary(canary));
        self.server.told.notify_waiters();
        Ok(())
    }
}

impl Server {
    fn now(&self, held: &Held) -> StoreTime {
        StoreTime(BEGINNING).after(self.origin.elapsed() + held.ahead)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.server.lock().data.version();
        f.debug_struct("MemoryStore")
            .field("version", &version)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved")
            .field("version", &self.0.version())
            .finish_non_exhaustive()
    }
}
