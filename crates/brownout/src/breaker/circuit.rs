use std::{fmt, sync::Arc, time::Duration};

use brownout_registry::{CircuitState, Dependency, Subscription};
use tokio::time::Instant;

use crate::core::{RejectReason, Rejected, threads};

use super::{
    cell::Cell,
    clock::Clock,
    counts::STRIPES,
    engine::{Effects, Engine},
    meter::Metering,
    policy::Policy,
    shared::{Core, Shared},
    stats::Stats,
    ticket::Ticket,
    voice::Voice,
    waiters::Waiters,
};

/// A circuit: the shared state that breakers attach, and a handle to inspect and steer it from anywhere.
///
/// Clones are cheap and share the state. It reports into its dependency's slot in the registry, and obeys the mode an
/// operator imposes on that dependency's circuits
/// ([`Dependency::override_circuit`](brownout_registry::Dependency::override_circuit)).
#[derive(Clone)]
pub struct Circuit {
    pub(super) handles: Arc<Handles>,
}

pub(super) struct Handles {
    pub(super) core: Arc<Core>,
    /// By thread. An array, and longer than there are stripes, so that finding one takes no check of bounds.
    cells: [Arc<Cell>; MOST_STRIPES],
    /// Tells the engine, and those who wait, when an operator steps in.
    _mode_changes: Option<Subscription>,
}

const MOST_STRIPES: usize = 64;

/// Builds a [`Circuit`] that is not like the default one.
#[must_use]
pub struct CircuitBuilder {
    dependency: Dependency,
    policy: Policy,
    clock: Clock,
    epoch: Instant,
    stripes: usize,
}

impl Circuit {
    /// A closed circuit with the default policy, which reports on `dependency`.
    pub fn new(dependency: &Dependency) -> Self {
        Self::builder(dependency).build()
    }

    /// Starts from the defaults.
    pub fn builder(dependency: &Dependency) -> CircuitBuilder {
        let epoch = Instant::now();
        CircuitBuilder {
            dependency: dependency.clone(),
            policy: Policy::default(),
            clock: Clock::tokio(epoch),
            epoch,
            stripes: STRIPES,
        }
    }

    pub(super) fn of_cell(cell: &Arc<Cell>) -> Self {
        Self {
            handles: Arc::new(Handles {
                core: Arc::clone(&cell.core),
                cells: std::array::from_fn(|_| Arc::clone(cell)),
                _mode_changes: None,
            }),
        }
    }

    /// Asks for leave to make one call: for code that is no tower service.
    ///
    /// # Errors
    ///
    /// [`Rejected`] while the circuit is open, or half-open with all of its probes out.
    #[inline]
    pub fn admit(&self) -> Result<Ticket, Rejected> {
        let cell = self.cell();
        match cell.admit_plainly() {
            Some(pass) => Ok(Ticket::new(Arc::clone(cell), pass)),
            None => Ticket::new(Arc::clone(cell), cell.admit()).admitted(),
        }
    }

    /// How calls are admitted and refused, as of now.
    #[inline]
    pub(super) fn gate(&self) -> u64 {
        self.handles.core.engine.gate()
    }

    /// Whether the time of a gate that refuses plainly is not over.
    #[inline]
    pub(super) fn still_refuses(&self) -> bool {
        self.handles.core.still_refuses()
    }

    /// The dependency that the circuit guards and reports on.
    pub fn dependency(&self) -> &Dependency {
        self.cell().dependency()
    }

    /// The circuit's own state, whatever an operator imposes on it. An open circuit whose time is over stays open
    /// until a call asks to be the first probe.
    pub fn state(&self) -> CircuitState {
        self.look().0
    }

    /// A picture of the circuit at this moment. Adds up all counters: for pages and tests, not for every call.
    pub fn stats(&self) -> Stats {
        let cell = self.cell();
        let (state, generation, until) = self.look();
        let now = cell.now();
        let (held, run, totals) = cell.core.engine.counts(now);
        Stats {
            state,
            mode: cell.mode(),
            generation,
            retry_after: until.map(|until| Duration::from_nanos(until.saturating_sub(now))),
            window_calls: held.calls(),
            window_failures: held.failures,
            window_slow: held.slow,
            consecutive_failures: run,
            totals,
        }
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.cell().core.engine.policy()
    }

    /// Changes the policy from the next decision on. The state stays, and so do counts, except when the window
    /// changes between time and calls: then it starts empty.
    pub fn reconfigure(&self, policy: Policy) {
        let cell = self.cell();
        cell.core.reconfigure(|| Arc::new(policy));
        cell.core.shared.waiters.wake_all();
    }

    /// Empties the window, and forgets the run of failures and the back-off, in any state. The state stays, and so
    /// do the totals.
    pub fn clear_counts(&self) {
        let cell = self.cell();
        let effects = cell.core.engine.clear_counts(cell.now(), cell.draw());
        cell.core.tell(&effects);
    }

    #[inline]
    pub(super) fn cell(&self) -> &Arc<Cell> {
        &self.handles.cells[threads::number() % MOST_STRIPES]
    }

    pub(super) fn waiters(&self) -> &Arc<Waiters> {
        &self.handles.core.shared.waiters
    }

    /// Why a call would be refused now, if it would.
    #[inline]
    pub(super) fn refuses(&self) -> Option<RejectReason> {
        self.handles.core.refuses()
    }

    fn look(&self) -> (CircuitState, u64, Option<u64>) {
        let cell = self.cell();
        let mut effects = Effects::default();
        let seen = cell.core.engine.look(cell.now(), cell.draw(), &mut effects);
        cell.core.tell(&effects);
        seen
    }
}

impl CircuitBuilder {
    /// Replaces the default policy.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Reads a cheaper clock of 1 to 4 ms resolution instead of tokio's, which tests can pause.
    #[cfg(feature = "coarse-clock")]
    pub fn coarse_clock(mut self) -> Self {
        self.clock = Clock::coarse();
        self.epoch = Instant::now();
        self
    }

    /// How many threads can count outcomes without sharing a cache line, rounded up to a power of two between 1 and
    /// 64. Default 8, at about 300 bytes each; judging a failure reads them all.
    pub fn stripes(mut self, stripes: usize) -> Self {
        self.stripes = stripes.clamp(1, MOST_STRIPES).next_power_of_two();
        self
    }

    /// The circuit, closed.
    pub fn build(self) -> Circuit {
        let mode = self.dependency.circuit_override();
        let core = Arc::new(Core {
            engine: Engine::new(&Arc::new(self.policy), self.stripes),
            shared: Arc::new(Shared {
                metering: Metering::new(),
                mode: mode.clone(),
                clock: self.clock,
                epoch: self.epoch,
                random: self.dependency.registry().random(),
                waiters: Arc::new(Waiters::default()),
                voice: Voice::alone(&self.dependency),
                dependency: self.dependency,
            }),
            key: None,
        });
        let mode_changes = {
            let core = Arc::downgrade(&core);
            mode.on_change(move || core.upgrade().map_or((), |core| core.mode_changed()))
        };
        // One may have been imposed before we listened.
        core.mode_changed();
        let registry = core.shared.dependency.registry();
        registry.attach_meter(&core);
        let cells: Vec<_> = (0..self.stripes)
            .map(|stripe| Arc::new(Cell::new(Arc::clone(&core), stripe)))
            .collect();
        let cells = std::array::from_fn(|thread| Arc::clone(&cells[thread % self.stripes]));
        Circuit {
            handles: Arc::new(Handles {
                core,
                cells,
                _mode_changes: Some(mode_changes),
            }),
        }
    }
}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuit")
            .field("dependency", &self.dependency().name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CircuitBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBuilder")
            .field("dependency", &self.dependency.name())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
