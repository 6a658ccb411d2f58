//! One circuit, and what it shares with the others of its handle.

use std::sync::Arc;

use brownout_registry::{CircuitMode, Dependency, OverrideCell, Random};
use tokio::time::Instant;

use crate::core::{RejectReason, logged};

use super::{
    clock::Clock,
    engine::{Effects, Engine},
    machine::Nanos,
    meter::Metering,
    policy::Policy,
    voice::{self, Voice},
    waiters::Waiters,
};

/// One circuit.
pub(super) struct Core {
    pub(super) engine: Engine,
    pub(super) shared: Arc<Shared>,
    /// Names this circuit within a keyed family.
    pub(super) key: Option<Box<str>>,
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
    pub(super) metering: Metering,
}

impl Core {
    #[inline]
    pub(super) fn now(&self) -> Nanos {
        self.shared.clock.now()
    }

    /// Whether the time of a gate that [refuses plainly](super::pass::refuses_plainly) is not over.
    #[inline(never)]
    pub(super) fn still_refuses(&self) -> bool {
        let now = self.now();
        now < self.engine.refuses_until()
    }

    /// Why a call would be refused now, if it would.
    #[inline(never)]
    pub(super) fn refuses(&self) -> Option<RejectReason> {
        match self.shared.mode.get() {
            Some(imposed) => (imposed.value == CircuitMode::ForcedOpen)
                .then_some(RejectReason::CircuitForcedOpen),
            None => self.engine.refuses(|| self.now()),
        }
    }

    pub(super) fn reconfigure(&self, policy: impl FnOnce() -> Arc<Policy>) {
        let draw = || self.shared.random.unit();
        let effects = self.engine.reconfigure(policy, self.now(), draw);
        self.tell(&effects);
    }

    /// An operator has set or released a mode, or one has expired.
    pub(super) fn mode_changed(&self) {
        self.engine.set_imposed(|| self.shared.mode.is_set());
        self.shared.waiters.wake_all();
    }

    /// Tells the registry, the log and whoever waits what has happened. Called without any lock.
    #[inline]
    pub(super) fn tell(&self, effects: &Effects) {
        if !effects.is_empty() {
            self.tell_all(effects);
        }
    }

    #[cold]
    fn tell_all(&self, effects: &Effects) {
        // What others decide by comes first, and logs come last: a log is the user's code, which may panic.
        let (voice, key) = (&self.shared.voice, self.key.as_deref());
        voice.count(&effects.transitions);
        effects
            .transitions
            .iter()
            .for_each(|transition| self.shared.metering.moved(transition));
        self.shared.waiters.wake_all();
        voice.report(&self.shared, key, &effects.transitions);
        for transition in &effects.transitions {
            logged(|| voice::log(&self.shared, key, transition));
        }
        if let Some((cause, generation)) = effects.would_open {
            voice::would_open(&self.shared, key, cause, generation);
        }
    }
}
