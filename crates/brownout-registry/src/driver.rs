//! The one background task of a registry: it makes expiries prompt and runs the probes.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::{Arc, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::probe::{Failure, JITTER, Outcome, Runner};
use crate::shared::Shared;
use crate::watch::reached;

/// At most so many probes of a registry run at the same time.
const MAX_RUNNING: usize = 16;

/// Every probe runs for the first time within this.
const FIRST_WITHIN: Duration = Duration::from_secs(1);

/// Keeps the registry's background task running; made by [`Registry::drive`](crate::Registry::drive).
///
/// All drivers of a registry guard the same task. When the last of them is dropped the task ends, running checks are
/// cancelled, and the verdicts of probes are withdrawn, since nobody renews them: their dependencies go back to
/// `Unknown` until somebody reports. Reads are right without a driver; it only makes events, callbacks and wake-ups
/// prompt. The task also ends when the registry is dropped; a driver does not keep it alive.
#[must_use = "dropping the driver stops the probes"]
pub struct Driver {
    task: Option<Arc<DriverTask>>,
}

/// The task, ended by the last drop.
#[derive(Debug)]
pub(crate) struct DriverTask {
    registry: Weak<Shared>,
    abort: AbortHandle,
}

impl Driver {
    pub(crate) fn start(registry: &Arc<Shared>) -> Self {
        if let Some(task) = running(registry) {
            return Self { task: Some(task) };
        }
        let Ok(runtime) = Handle::try_current() else {
            tracing::error!(
                "Registry::drive was called outside a tokio runtime, so no probe runs; call it inside one, for example \
                 in an async main"
            );
            return Self { task: None };
        };
        let epoch = registry.change(|state, _| state.epoch());
        let plan = Plan::new(
            Arc::downgrade(registry),
            Arc::clone(&registry.changed),
            epoch,
        );
        let abort = runtime.spawn(plan.run()).abort_handle();
        let task = Arc::new(DriverTask {
            registry: Arc::downgrade(registry),
            abort,
        });
        let mut slot = registry
            .driver
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have started one in the meantime; ours has done nothing yet.
        if let Some(other) = slot.upgrade().filter(|other| !other.abort.is_finished()) {
            drop(slot);
            task.abort.abort();
            return Self { task: Some(other) };
        }
        *slot = Arc::downgrade(&task);
        drop(slot);
        Self { task: Some(task) }
    }

    /// Whether the background task runs: `false` if it could not be started, or its runtime or registry is gone.
    pub fn is_running(&self) -> bool {
        self.task
            .as_ref()
            .is_some_and(|task| !task.abort.is_finished())
    }
}

fn running(registry: &Shared) -> Option<Arc<DriverTask>> {
    let task = registry
        .driver
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .upgrade();
    task.filter(|task| !task.abort.is_finished())
}

impl Drop for DriverTask {
    fn drop(&mut self) {
        self.abort.abort();
        if let Some(registry) = self.registry.upgrade() {
            registry.change(crate::state::State::forget_probes);
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("is_running", &self.is_running())
            .finish_non_exhaustive()
    }
}

/// Which probe runs when.
struct Plan {
    registry: Weak<Shared>,
    changed: Arc<Notify>,
    epoch: u64,
    probes: Vec<Planned>,
    /// When each probe that is not running is due.
    due: BTreeSet<(Instant, usize)>,
    /// The checks under way: dropping the set cancels them.
    checks: JoinSet<(Result<(), Failure>, Duration)>,
    running: HashMap<Id, (usize, Instant)>,
}

struct Planned {
    dependency: u32,
    probe: usize,
    runner: Arc<Runner>,
}

/// What a task of the set hands back.
type Checked = Result<(Id, (Result<(), Failure>, Duration)), JoinError>;

/// What the driver wakes up for.
enum Wake {
    Look,
    Checked(Checked),
}

impl Plan {
    fn new(registry: Weak<Shared>, changed: Arc<Notify>, epoch: u64) -> Self {
        Self {
            registry,
            changed,
            epoch,
            probes: Vec::new(),
            due: BTreeSet::new(),
            checks: JoinSet::new(),
            running: HashMap::new(),
        }
    }

    async fn run(mut self) {
        loop {
            let changed = Arc::clone(&self.changed);
            let mut woken = pin!(changed.notified());
            // Enlisted before looking, so that a change in between is not slept through.
            woken.as_mut().enable();
            let ControlFlow::Continue(next) = self.look() else {
                return;
            };
            let mut next = pin!(reached(next));
            let wake = std::future::poll_fn(|context| {
                if let Poll::Ready(checked) = self.poll_checks(context) {
                    return Poll::Ready(Wake::Checked(checked));
                }
                let woken = woken.as_mut().poll(context).is_ready()
                    || next.as_mut().poll(context).is_ready();
                if woken {
                    Poll::Ready(Wake::Look)
                } else {
                    Poll::Pending
                }
            })
            .await;
            if let Wake::Checked(checked) = wake {
                self.checked(checked);
            }
        }
    }

    /// Lets everything expire that is due, starts the checks that are, and says when to look again; breaks when
    /// the registry is gone.
    fn look(&mut self) -> ControlFlow<(), Option<Instant>> {
        let Some(registry) = self.registry.upgrade() else {
            return ControlFlow::Break(());
        };
        let known = self.probes.len();
        let (deadline, new) =
            registry.change(|state, _| (state.next_deadline(), state.probes_since(known)));
        let now = Instant::now();
        for (dependency, probe, runner) in new {
            let first = now + FIRST_WITHIN.mul_f64(registry.random.unit());
            self.due.insert((first, self.probes.len()));
            self.probes.push(Planned {
                dependency,
                probe,
                runner,
            });
        }
        while self.running.len() < MAX_RUNNING
            && let Some(&(at, index)) = self.due.first()
            && at <= now
        {
            self.due.pop_first();
            self.start(index, now);
        }
        let probe = self
            .due
            .first()
            .map(|&(at, _)| at)
            .filter(|_| self.running.len() < MAX_RUNNING);
        ControlFlow::Continue(
            [deadline.map(|at| registry.clock.instant(at)), probe]
                .into_iter()
                .flatten()
                .min(),
        )
    }

    fn start(&mut self, index: usize, now: Instant) {
        let runner = Arc::clone(&self.probes[index].runner);
        let check = async move {
            let result = runner.run().await;
            (result, now.elapsed())
        };
        let id = self.checks.spawn(check).id();
        self.running.insert(id, (index, now));
    }

    fn poll_checks(&mut self, context: &mut Context<'_>) -> Poll<Checked> {
        match self.checks.poll_join_next_with_id(context) {
            Poll::Ready(Some(checked)) => Poll::Ready(checked),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn checked(&mut self, checked: Checked) {
        let id = match &checked {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some((index, started)) = self.running.remove(&id) else {
            return;
        };
        let (result, elapsed) = match checked {
            Ok((_, checked)) => checked,
            Err(_) => (Err(Failure::Panicked), started.elapsed()),
        };
        let Some(registry) = self.registry.upgrade() else {
            return;
        };
        let planned = &self.probes[index];
        let next = started + registry.random.jitter(planned.runner.interval, JITTER);
        self.due.insert((next.max(Instant::now()), index));
        let outcome = Outcome { result, elapsed };
        registry.change(|state, now| {
            state.probed(self.epoch, planned.dependency, planned.probe, outcome, now);
        });
    }
}
