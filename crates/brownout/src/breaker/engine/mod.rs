//! The concurrent core of a circuit: a gate that the fast path reads, counts that it adds to, and the machine behind
//! a lock for everything else.
//!
//! The closed path takes no lock: it reads the gate, and adds to a stripe. When its sums say that a threshold may be
//! reached, the lock is taken and the question asked again, exactly, before anything moves. Every generation check
//! that matters happens under that lock.

mod admission;
mod judging;
mod moving;
mod slowness;
mod steering;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use brownout_registry::CircuitState;

use crate::core::sync::{
    AtomicU8, AtomicU32, AtomicU64, Mutex,
    Ordering::{Acquire, Relaxed},
    lock,
};

use super::{
    call_window::CallWindow,
    counts::{Padded, Stripe, Stripes, Sums},
    hanging::Steps,
    knobs::Knobs,
    machine::{Cause, Machine, Nanos, Transition},
    pass::CLOSED,
    policy::Policy,
    stats::Totals,
    window::{Baselines, TimeWindow},
};

use self::steering::bucket_of;

#[derive(Debug)]
pub(super) struct Engine {
    /// The generation, and in the lowest four bits what the fast path does with a call.
    gate: AtomicU64,
    /// Until when the gate refuses.
    until: AtomicU64,
    /// Failures since the last success.
    run: AtomicU32,
    /// Whether an operator imposes a mode: then every call asks. Changed under the lock.
    imposed: AtomicU8,
    /// One of many, which nobody tells when an operator steps in: calls look for themselves.
    keyed: bool,
    knobs: Knobs,
    /// Whether somebody wants to know how long calls take, whatever the policy asks for. Changed under the lock.
    metered: AtomicU8,
    window: TimeWindow,
    calls: ArcSwapOption<CallWindow>,
    stripes: Stripes,
    steps: Steps,
    guarded: Mutex<Guarded>,
}

#[derive(Debug)]
struct Guarded {
    machine: Machine,
    baselines: Baselines,
    policy: Arc<Policy>,
}

/// A threshold seems to be reached; ask [`Engine::trip`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarm {
    generation: u64,
    asked: Option<Duration>,
}

/// What happened under the lock, to be told to the world once it is released.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) transitions: Vec<Transition>,
    pub(super) would_open: Option<(Cause, u64)>,
    /// A place for a probe has become free.
    pub(super) place_freed: bool,
}

impl Effects {
    pub(super) fn is_empty(&self) -> bool {
        self.transitions.is_empty() && self.would_open.is_none() && !self.place_freed
    }
}

impl Engine {
    pub(super) fn new(policy: &Arc<Policy>, stripes: usize) -> Self {
        Self::build(policy, Stripes::many(stripes), false)
    }

    /// One circuit of a family: without stripes, because there are many of them.
    pub(super) fn keyed(policy: &Arc<Policy>) -> Self {
        Self::build(policy, Stripes::one(), true)
    }

    fn build(policy: &Arc<Policy>, stripes: Stripes, keyed: bool) -> Self {
        let engine = Self {
            gate: AtomicU64::new(CLOSED),
            until: AtomicU64::new(0),
            run: AtomicU32::new(0),
            imposed: AtomicU8::new(0),
            keyed,
            knobs: Knobs::default(),
            metered: AtomicU8::new(0),
            window: TimeWindow::new(),
            calls: ArcSwapOption::empty(),
            stripes,
            steps: Steps::new(),
            guarded: Mutex::new(Guarded {
                machine: Machine::new(),
                baselines: Baselines::new(),
                policy: Arc::clone(policy),
            }),
        };
        engine.apply(policy, 0);
        engine.window.begin(0, bucket_of(policy));
        engine.set_gate(&lock(&engine.guarded));
        engine
    }

    /// How calls are admitted and refused, as of now.
    #[inline]
    pub(super) fn gate(&self) -> u64 {
        self.gate.load(Acquire)
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&lock(&self.guarded).policy)
    }

    /// The state as of now, its generation, and until when it lasts if nothing happens.
    pub(super) fn look(
        &self,
        now: Nanos,
        draw: impl Fn() -> f64,
        effects: &mut Effects,
    ) -> (CircuitState, u64, Option<Nanos>) {
        let mut guarded = lock(&self.guarded);
        self.advance(&mut guarded, now, draw, effects);
        self.set_gate(&guarded);
        let machine = &guarded.machine;
        (machine.state(), machine.generation(), machine.deadline())
    }

    /// The stripe of that number, of as many as were asked for.
    pub(super) fn stripe(&self, number: usize) -> &Stripe {
        self.stripes.get(number)
    }

    /// The same, to be held by whoever counts there, if there are several.
    pub(super) fn share_stripe(&self, number: usize) -> Option<Arc<Padded>> {
        self.stripes.share(number)
    }

    /// The state when it was last looked at, whatever time has passed.
    pub(super) fn resting_state(&self) -> CircuitState {
        lock(&self.guarded).machine.state()
    }

    /// What the window holds, and the totals since the circuit was made.
    pub(super) fn counts(&self, now: Nanos) -> (Sums, u32, Totals) {
        let bucket = self.knobs.bucket();
        if bucket != 0 {
            self.rotate(now);
        }
        let held = if self.knobs.windowed() {
            self.held()
        } else {
            Sums::default()
        };
        (held, self.run.load(Relaxed), self.totals())
    }

    pub(super) fn totals(&self) -> Totals {
        Totals::of(&self.stripes)
    }

    /// Whether calls are given the time of their admission.
    #[inline]
    fn takes_times(&self) -> bool {
        self.knobs.timed() || self.is_metered()
    }

    /// Whether somebody wants to know how long calls take.
    #[inline]
    pub(super) fn is_metered(&self) -> bool {
        self.metered.load(Relaxed) != 0
    }
}
