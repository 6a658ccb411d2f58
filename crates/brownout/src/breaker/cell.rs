//! What a ticket holds on to: one stripe of one circuit.
//!
//! Threads take the cell of their own stripe, so that admitting and settling touch no reference count that another
//! thread touches too.

use std::{
    cell::Cell as StdCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use brownout_registry::{CircuitMode, Dependency, OverrideCell, Random};
use tokio::time::Instant;

use crate::core::{Origin, RejectReason, Rejected, Verdict};

use super::{
    clock::Clock,
    counts::Stripe,
    engine::{Effects, Engine, Pass, Stage},
    machine::{Nanos, Refusal, nanos},
    policy::Policy,
    voice::Voice,
    waiters::Waiters,
};

/// One circuit.
pub(super) struct Core {
    pub(super) engine: Engine,
    pub(super) shared: Arc<Shared>,
    /// Names this circuit within a keyed family.
    pub(super) key: Option<Arc<str>>,
}

/// What all circuits of one handle have in common: a single circuit, or a keyed family.
pub(super) struct Shared {
    pub(super) dependency: Dependency,
    pub(super) mode: OverrideCell<CircuitMode>,
    pub(super) clock: Clock,
    /// When the clock stood at zero, on tokio's.
    pub(super) epoch: Instant,
    pub(super) random: Random,
    pub(super) waiters: Arc<Waiters>,
    pub(super) voice: Voice,
}

pub(super) struct Cell {
    pub(super) core: Arc<Core>,
    stripe: Arc<Stripe>,
    clock: Clock,
    origin: Origin,
}

thread_local! {
    static THREAD: StdCell<usize> = const { StdCell::new(usize::MAX) };
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// A number for the calling thread; threads that start one after another get different ones.
#[inline]
pub(super) fn thread() -> usize {
    // A thread that is going down has lost its number; any stripe will do for it.
    THREAD
        .try_with(|number| match number.get() {
            usize::MAX => {
                let fresh = THREADS.fetch_add(1, Relaxed) % (usize::MAX - 1);
                number.set(fresh);
                fresh
            }
            known => known,
        })
        .unwrap_or(0)
}

impl Cell {
    pub(super) fn new(core: Arc<Core>, stripe: usize) -> Self {
        let origin = Origin::new(&core.shared.dependency, core.shared.epoch);
        Self::with_origin(core, stripe, origin)
    }

    pub(super) fn with_origin(core: Arc<Core>, stripe: usize, origin: Origin) -> Self {
        Self {
            stripe: core.engine.stripe(stripe),
            clock: core.shared.clock,
            core,
            origin,
        }
    }

    pub(super) fn dependency(&self) -> &Dependency {
        &self.core.shared.dependency
    }

    #[inline]
    pub(super) fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// For how long, as far as is known: until a probe is due, or an operator's order ends.
    pub(super) fn refuses_for(&self) -> Option<Duration> {
        match self.core.shared.mode.get() {
            Some(imposed) => (imposed.value == CircuitMode::ForcedOpen)
                .then(|| imposed.until.saturating_duration_since(Instant::now())),
            None => self.core.engine.refuses_for(self.now()),
        }
    }

    /// The refusal of a call whose service was made ready by passing it by.
    pub(super) fn pass_by(&self) -> Pass {
        let refusal = self.core.engine.refusal(&self.stripe);
        Pass::refused(match self.core.shared.mode.get() {
            Some(imposed) if imposed.value == CircuitMode::ForcedOpen => self.forced_open(imposed.until),
            _ => refusal,
        })
    }

    /// The refusal of a call whose service did not become ready in time.
    pub(super) fn not_ready() -> Pass {
        Pass::refused(Refusal {
            reason: RejectReason::NotReady,
            until: None,
        })
    }

    /// The shortest way in, for a closed circuit that nobody steers.
    #[inline]
    pub(super) fn admit_plainly(&self) -> Option<Pass> {
        self.core.engine.admit_plainly()
    }

    pub(super) fn admit(&self) -> Pass {
        if !self.core.shared.mode.is_set()
            && let Some(pass) = self.core.engine.admit_fast(&self.stripe, || self.now())
        {
            return pass;
        }
        self.admit_slowly()
    }

    #[cold]
    fn admit_slowly(&self) -> Pass {
        let imposed = self.core.shared.mode.get();
        let mode = imposed.map(|imposed| imposed.value);
        let (pass, effects) = self
            .core
            .engine
            .admit(&self.stripe, mode, self.now(), self.draw());
        self.core.tell(effects);
        match imposed {
            Some(imposed) if pass.refusal().is_some() => Pass::refused(self.forced_open(imposed.until)),
            _ => pass,
        }
    }

    /// A service has failed, or taken too long, to become ready: a failure without a call.
    #[cold]
    pub(super) fn failed_readiness(&self) {
        let (pass, effects) = self
            .core
            .engine
            .admit_failure(self.mode(), self.now(), self.draw());
        self.core.tell(effects);
        if let Some(pass) = pass {
            self.settled(pass, Verdict::Failure);
        }
    }

    /// The head of an answer has come.
    pub(super) fn headed(&self, pass: &mut Pass, head: Verdict) {
        let engine = &self.core.engine;
        Engine::returned(&self.stripe, pass);
        let slow = engine.is_slow(pass, self.now());
        pass.course.stage = if slow { Stage::HeadedLate } else { Stage::Headed };
        if pass.is_probe() {
            let verdict = Some((head, slow));
            self.core
                .tell(engine.probe(pass, true, verdict, self.now(), self.draw()));
        }
    }

    /// The shortest way out: a success that only has to be counted.
    #[allow(clippy::inline_always, reason = "see `CircuitBreaker::poll_ready`")]
    #[inline(always)]
    pub(super) fn succeeded_plainly(&self, pass: &Pass) -> bool {
        let engine = &self.core.engine;
        let plain = engine.only_counts(pass, || self.clock.now());
        if plain {
            engine.count_success(&self.stripe);
        }
        plain
    }

    pub(super) fn settled(&self, mut pass: Pass, verdict: Verdict) {
        let engine = &self.core.engine;
        let now = if engine.judges_by_time() { self.now() } else { 0 };
        if verdict == Verdict::Success && engine.only_counts_timed(&pass, now) {
            Engine::returned(&self.stripe, &mut pass);
            engine.count_success(&self.stripe);
            return;
        }
        self.settled_otherwise(&mut pass, verdict, now);
    }

    fn settled_otherwise(&self, pass: &mut Pass, verdict: Verdict, now: Nanos) {
        let engine = &self.core.engine;
        let slow = match pass.course.stage {
            Stage::Out => {
                Engine::returned(&self.stripe, pass);
                engine.is_slow(pass, now)
            }
            stage => stage == Stage::HeadedLate,
        };
        if !pass.is_probe() {
            if let Some(alarm) = engine.judged(&self.stripe, pass, verdict, slow, now) {
                self.core
                    .tell(engine.trip(alarm, self.mode(), self.now(), self.draw()));
            }
        } else if pass.course.stage == Stage::Out || verdict.is_failure() {
            self.probe_settled(pass, verdict, slow);
        } else {
            // The head has already spoken for it.
            engine.count_apart(&self.stripe, verdict);
        }
    }

    pub(super) fn abandoned(&self, mut pass: Pass) {
        if pass.refusal().is_some() {
            return;
        }
        let engine = &self.core.engine;
        Engine::returned(&self.stripe, &mut pass);
        if engine.abandoned_fails(&pass, || self.now()) {
            self.settled(pass, Verdict::Failure);
            return;
        }
        engine.abandoned(&self.stripe);
        if pass.is_probe() && pass.course.stage == Stage::Out {
            self.core
                .tell(engine.probe(&pass, true, None, self.now(), self.draw()));
        }
    }

    /// What an operator imposes.
    pub(super) fn mode(&self) -> Option<CircuitMode> {
        self.core.shared.mode.get().map(|imposed| imposed.value)
    }

    pub(super) fn draw(&self) -> impl Fn() -> f64 {
        || self.core.shared.random.unit()
    }

    #[cold]
    fn probe_settled(&self, pass: &Pass, verdict: Verdict, slow: bool) {
        let engine = &self.core.engine;
        engine.count_apart(&self.stripe, verdict);
        let returned = pass.course.stage == Stage::Out;
        let verdict = Some((verdict, slow));
        self.core
            .tell(engine.probe(pass, returned, verdict, self.now(), self.draw()));
    }

    fn forced_open(&self, until: Instant) -> Refusal {
        let left = until.saturating_duration_since(Instant::now());
        let at = self.now().saturating_add(nanos(left.min(FORCED_RETRY_AFTER)));
        Refusal {
            reason: RejectReason::CircuitForcedOpen,
            until: Some(at),
        }
    }

    pub(super) fn rejected(&self, refusal: Refusal) -> Rejected {
        Rejected::at(self.origin.clone(), refusal.reason, refusal.until)
    }
}

/// What refused callers are told at most while an operator holds a circuit open, which may be for days.
const FORCED_RETRY_AFTER: Duration = Duration::from_mins(1);

impl Core {
    /// Whether a call would be refused now.
    pub(super) fn refuses(&self) -> bool {
        if self.shared.mode.is_set()
            && let Some(imposed) = self.shared.mode.get()
        {
            return imposed.value == CircuitMode::ForcedOpen;
        }
        self.engine.refuses(|| self.shared.clock.now())
    }

    pub(super) fn reconfigure(&self, policy: Arc<Policy>) {
        let draw = || self.shared.random.unit();
        let effects = self
            .engine
            .reconfigure(policy, self.shared.clock.now(), draw);
        self.tell(effects);
    }

    /// An operator has set or released a mode, or one has expired.
    pub(super) fn mode_changed(&self) {
        self.engine.set_imposed(|| self.shared.mode.is_set());
        self.shared.waiters.wake_all();
    }

    /// Tells the registry, the log and whoever waits what has happened. Called without any lock.
    #[inline]
    pub(super) fn tell(&self, effects: Effects) {
        if !effects.is_empty() {
            self.tell_all(effects);
        }
    }

    #[cold]
    fn tell_all(&self, effects: Effects) {
        for transition in &effects.transitions {
            self.shared.voice.moved(&self.shared, self.key.as_ref(), transition);
        }
        if let Some((cause, generation)) = effects.would_open {
            self.shared
                .voice
                .would_open(&self.shared, self.key.as_ref(), cause, generation);
        }
        self.shared.waiters.wake_all();
    }
}
