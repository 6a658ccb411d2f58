//! The tasks of one replica, kept alive together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::error::{StoreError, StoreErrorKind};
use super::link::Link;
use super::orders::{self, Command};
use super::race::first;
use super::store::FleetStore;
use super::{pulse, sync, tally};
use crate::caught::{caught, discard};

/// A store whose code has panicked may do so again at once.
const AFTER_PANIC: Duration = Duration::from_secs(15);

/// What is said of a store whose code has panicked.
pub(super) fn panicked() -> StoreError {
    StoreError::new(StoreErrorKind::Other, "the store's code panicked")
}

/// Says that nobody keeps the replica in step any more, if that is not because it has left: its runtime has shut down.
struct Ended(Arc<Link>);

impl Drop for Ended {
    fn drop(&mut self) {
        if !self.0.desk.is_left() {
            let detail = "the fleet's tasks have ended with their runtime";
            let error = StoreError::new(StoreErrorKind::Other, detail);
            // Caught, since a log that panics may be what ended the task: a second panic would end the process.
            caught(|| self.0.contact.ended(&error));
        }
    }
}

/// Runs a replica's tasks until this is dropped, or the registry is gone.
pub(super) async fn run<S: FleetStore>(
    link: Arc<Link>,
    store: Arc<S>,
    commands: mpsc::Receiver<Command>,
) {
    let _ended = Ended(Arc::clone(&link));
    let commands = Arc::new(Mutex::new(commands));
    let both = || (Arc::clone(&link), Arc::clone(&store));
    let sync = kept(&link, || {
        let (link, store) = both();
        sync::keep(link, store)
    });
    let orders = kept(&link, || {
        let (link, store) = both();
        orders::keep(link, store, Arc::clone(&commands))
    });
    let tally = kept(&link, || {
        let (link, store) = both();
        tally::keep(link, store)
    });
    let pulse = kept(&link, || {
        let (link, store) = both();
        pulse::keep(link, store)
    });
    // One that ends has found that the registry is gone.
    first(first(sync, orders), first(tally, pulse)).await;
}

/// Runs a task to its end, and anew a while after it has panicked. Dropping this ends it.
async fn kept<F>(link: &Link, start: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut task = JoinSet::new();
        task.spawn(start());
        let Some(Err(error)) = task.join_next().await else {
            return;
        };
        if let Ok(payload) = error.try_into_panic() {
            discard(payload);
        }
        // It may be the log that panics. Not here: this would end all four, and nobody would start them anew.
        caught(|| link.contact.lost(&panicked()));
        sleep(link.jitter(AFTER_PANIC)).await;
    }
}
