//! The tasks of one replica, kept alive together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::{Id, JoinSet};
use tokio::time::sleep;

use super::error::{StoreError, StoreErrorKind};
use super::link::Link;
use super::orders::{self, Command};
use super::store::FleetStore;
use super::{pulse, sync, tally};
use crate::caught::{caught, discard};

#[derive(Debug, Clone, Copy)]
enum Task {
    Sync,
    Orders,
    Tally,
    Pulse,
}

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
            caught(|| self.0.contact.lost(&error));
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
    let mut tasks = JoinSet::new();
    let mut names: HashMap<Id, Task> = HashMap::new();
    let start = |tasks: &mut JoinSet<()>, names: &mut HashMap<Id, Task>, task: Task| {
        let (link, store) = (Arc::clone(&link), Arc::clone(&store));
        let started = match task {
            Task::Sync => tasks.spawn(sync::keep(link, store)),
            Task::Orders => tasks.spawn(orders::keep(link, store, Arc::clone(&commands))),
            Task::Tally => tasks.spawn(tally::keep(link, store)),
            Task::Pulse => tasks.spawn(pulse::keep(link, store)),
        };
        names.insert(started.id(), task);
    };
    for task in [Task::Sync, Task::Orders, Task::Tally, Task::Pulse] {
        start(&mut tasks, &mut names, task);
    }
    while let Some(ended) = tasks.join_next_with_id().await {
        // One that ends has found that the registry is gone.
        let Err(error) = ended else { return };
        let task = names.remove(&error.id());
        if let Ok(payload) = error.try_into_panic() {
            discard(payload);
        }
        link.contact.lost(&panicked());
        sleep(link.jitter(AFTER_PANIC)).await;
        if let Some(task) = task {
            start(&mut tasks, &mut names, task);
        }
    }
}
