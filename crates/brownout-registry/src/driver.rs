//! The one background task of a registry: it makes expiries prompt and runs the probes.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::caught::{caught, discard};
use crate::probe::{Failure, JITTER, Outcome, Runner, TIMEOUT};
use crate::shared::Shared;
use crate::watch::{reached, sleeping};

/// At most so many probes of a registry run at the same time.
const MAX_RUNNING: usize = 16;

/// At most so many of them are [slow](Planned::slow): those that hang leave places to those that do not.
const MAX_SLOW: usize = MAX_RUNNING / 2;

/// Every probe is due for the first time within this. Also how long a run is put off that cannot begin yet.
const FIRST_WITHIN: Duration = Duration::from_secs(1);

/// Keeps the registry's background task running; made by [`Registry::drive`](crate::Registry::drive).
///
/// All drivers of a registry guard the same task, which runs where the first of them was made. When the last of them is
/// dropped the task ends, running checks are cancelled, and the verdicts of probes are withdrawn, since nobody renews
/// them: their dependencies go back to `Unknown` until somebody reports. The same happens when the task's runtime shuts
/// down while drivers are left; those stay idle, and [`Registry::drive`](crate::Registry::drive) starts a new task.
/// Reads are right without a driver; it only makes events, callbacks and wake-ups prompt. The task also ends when the
/// registry is dropped; a driver does not keep it alive.
#[must_use = "a dropped driver stops the probes, and `let _ =` drops it at once: `let _driver = registry.drive();`"]
pub struct Driver {
    task: Option<Arc<DriverTask>>,
}

/// The task, ended by the last drop.
#[derive(Debug)]
pub(crate) struct DriverTask {
    registry: Weak<Shared>,
    abort: AbortHandle,
    epoch: u64,
}

/// The latest task of a registry, and its number.
#[derive(Debug, Default)]
pub(crate) struct DriverSlot {
    task: Weak<DriverTask>,
    epoch: u64,
}

impl Driver {
    pub(crate) fn start(registry: &Arc<Shared>) -> Self {
        let before = latest(registry).task.upgrade();
        if before.as_ref().is_some_and(|task| task.runs()) {
            return Self { task: before };
        }
        let Some(runtime) = runtime_with_time() else {
            return Self { task: None };
        };
        // Dropped after the lock is released: it may be the last hold on a task that has ended.
        let other;
        let mut latest = latest(registry);
        other = latest.task.upgrade();
        if other.as_ref().is_some_and(|task| task.runs()) {
            drop(latest);
            return Self { task: other };
        }
        latest.epoch += 1;
        let plan = Plan::new(registry, latest.epoch);
        // Under the lock, so that no second task is ever started to be given up again. Spawning runs no user code, not
        // even on a runtime that has shut down and drops the plan at once: it has not begun.
        let task = Arc::new(DriverTask {
            registry: Arc::downgrade(registry),
            abort: runtime.spawn(plan.run()).abort_handle(),
            epoch: latest.epoch,
        });
        latest.task = Arc::downgrade(&task);
        drop(latest);
        Self { task: Some(task) }
    }

    /// Whether the background task runs: `false` if it could not be started, or its runtime or registry is gone.
    pub fn is_running(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.runs())
    }
}

fn latest(registry: &Shared) -> MutexGuard<'_, DriverSlot> {
    registry
        .driver
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// The runtime of the caller, where it can run a driver.
fn runtime_with_time() -> Option<Handle> {
    let Ok(runtime) = Handle::try_current() else {
        tracing::error!(
            "Registry::drive was called outside a tokio runtime, so no probe runs; call it inside one, for example in \
             an async main"
        );
        return None;
    };
    if sleeping(Instant::now()).is_none() {
        tracing::error!(
            "Registry::drive was called in a tokio runtime without timers, so no probe runs; enable them with \
             `enable_time` or `enable_all` on the runtime's builder"
        );
        return None;
    }
    Some(runtime)
}

impl DriverTask {
    fn runs(&self) -> bool {
        !self.abort.is_finished()
    }
}

impl Drop for DriverTask {
    fn drop(&mut self) {
        self.abort.abort();
        forget_probes(&self.registry, self.epoch);
    }
}

/// The driver of this epoch has ended.
fn forget_probes(registry: &Weak<Shared>, epoch: u64) {
    if let Some(registry) = registry.upgrade() {
        registry.change(|state, now| state.forget_probes(epoch, now));
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
    /// Whether it has been polled: before that there is nothing of it to forget.
    begun: bool,
    probes: Vec<Planned>,
    /// When each probe that is not running is due: the slow ones in the second row.
    due: [BTreeSet<(Instant, usize)>; 2],
    /// The checks under way: dropping the set cancels them.
    checks: JoinSet<(Result<(), Failure>, Duration)>,
    running: HashMap<Id, (usize, Instant)>,
    slow_running: usize,
}

struct Planned {
    dependency: u32,
    probe: usize,
    runner: Arc<Runner>,
    /// Whether it may keep its place for long: it did so last time, or its timeout allows it to.
    slow: bool,
}

impl Drop for Plan {
    fn drop(&mut self) {
        if self.begun {
            // Caught, since a log that panics may be what ended the task: a second panic would end the process.
            caught(|| forget_probes(&self.registry, self.epoch));
        }
    }
}

/// What a task of the set hands back.
type Checked = Result<(Id, (Result<(), Failure>, Duration)), JoinError>;

/// What the driver wakes up for.
enum Wake {
    Look,
    Checked(Checked),
}

impl Plan {
    fn new(registry: &Arc<Shared>, epoch: u64) -> Self {
        Self {
            registry: Arc::downgrade(registry),
            changed: Arc::clone(&registry.changed),
            epoch,
            begun: false,
            probes: Vec::new(),
            due: Default::default(),
            checks: JoinSet::new(),
            running: HashMap::new(),
            slow_running: 0,
        }
    }

    async fn run(mut self) {
        self.begun = true;
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
            let slow = runner.timeout > TIMEOUT;
            let first = now + FIRST_WITHIN.mul_f64(registry.random.unit());
            self.due[usize::from(slow)].insert((first, self.probes.len()));
            self.probes.push(Planned {
                dependency,
                probe,
                runner,
                slow,
            });
        }
        while let Some((at, index)) = self.next()
            && at <= now
        {
            self.due[usize::from(self.probes[index].slow)].remove(&(at, index));
            self.start(index, now);
        }
        let next = self.next().map(|(at, _)| at);
        ControlFlow::Continue(
            [deadline.map(|at| registry.clock.instant(at)), next]
                .into_iter()
                .flatten()
                .min(),
        )
    }

    /// The probe to run next, and when it is due; none while there is no place for any.
    fn next(&self) -> Option<(Instant, usize)> {
        let [well, slow] = &self.due;
        let slow = (self.slow_running < MAX_SLOW).then(|| slow.first());
        let first = well.first().into_iter().chain(slow.flatten()).min();
        first.copied().filter(|_| self.running.len() < MAX_RUNNING)
    }

    fn start(&mut self, index: usize, now: Instant) {
        let planned = &self.probes[index];
        let Some(run) = planned.runner.begin() else {
            // A run that an earlier driver has cancelled blocks its thread and has not noticed yet.
            self.due[usize::from(planned.slow)].insert((now + FIRST_WITHIN, index));
            return;
        };
        let check = async move {
            let result = run.check().await;
            (result, now.elapsed())
        };
        let id = self.checks.spawn(check).id();
        self.running.insert(id, (index, now));
        self.slow_running += usize::from(planned.slow);
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
        let (result, elapsed) = match checked.map_err(JoinError::try_into_panic) {
            Ok((_, checked)) => checked,
            Err(Ok(payload)) => {
                discard(payload);
                (Err(Failure::Panicked), started.elapsed())
            }
            // Only its runtime's shutdown cancels a check that is in the set, and that ends the driver too.
            Err(Err(_cancelled)) => return,
        };
        let Some(registry) = self.registry.upgrade() else {
            return;
        };
        let planned = &mut self.probes[index];
        self.slow_running -= usize::from(planned.slow);
        planned.slow = planned.runner.timeout > TIMEOUT || matches!(result, Err(Failure::TimedOut));
        let next = started + registry.random.jitter(planned.runner.interval, JITTER);
        self.due[usize::from(planned.slow)].insert((next.max(Instant::now()), index));
        let outcome = Outcome { result, elapsed };
        let (dependency, probe) = (planned.dependency, planned.probe);
        registry.change(|state, now| state.probed(self.epoch, dependency, probe, outcome, now));
    }
}
