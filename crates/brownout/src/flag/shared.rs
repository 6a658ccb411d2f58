//! One flag, and what surrounds it: its name, the registry, the clock.

use std::sync::Arc;

use brownout_registry::{DegradationLevel, FeatureState, FlagCause, Random};
use tokio::{sync::Notify, time::Instant};

use crate::core::{tally::Tally, unwind::OnUnwind};

use super::{
    engine::Engine,
    outside::Outside,
    parts::View,
    settings::{Nanos, nanos},
    voice,
    word::Word,
};

pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) public_name: Option<Arc<str>>,
    pub(super) engine: Engine,
    pub(super) outside: Outside,
    pub(super) random: Random,
    /// When the flag's clock stood at zero.
    pub(super) epoch: Instant,
    /// Wakes services that wait for their inner one, which they may no longer need.
    pub(super) changed: Arc<Notify>,
    /// Changes of the effective state, by cause.
    pub(super) changes: Tally<FlagCause>,
}

/// How a flag stands, looked at closely.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) state: FeatureState,
    /// Whom a call that is let in belongs to.
    pub(super) word: Word,
    pub(super) why: Why,
}

/// What decides a flag's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Nothing: it is enabled.
    Default,
    /// It is configured so.
    Configured,
    /// Too many calls failed; until when.
    Errors(Nanos),
    /// It comes back, and lets in a share of calls until then.
    Ramp(Nanos),
    /// The system's level.
    Level,
    /// An operator; until when.
    Imposed(Instant),
}

impl Shared {
    pub(super) fn now(&self) -> Nanos {
        self.at(Instant::now())
    }

    fn at(&self, instant: Instant) -> Nanos {
        nanos(instant.saturating_duration_since(self.epoch))
    }

    /// The effective state: one load, where neither time nor level nor an operator has a say.
    #[inline]
    pub(super) fn state(&self) -> FeatureState {
        let word = self.engine.word();
        if word.is_plain() {
            word.rest()
        } else {
            self.state_otherwise()
        }
    }

    // Apart, so that the way above needs no room on the stack.
    #[inline(never)]
    fn state_otherwise(&self) -> FeatureState {
        self.standing().state
    }

    /// Looks closely, and sees to it that what has changed since somebody last did is told.
    #[inline(never)]
    pub(super) fn standing(&self) -> Standing {
        let mut word = self.engine.word();
        if word.is_timed() && self.now() >= self.engine.until() {
            self.see();
            word = self.engine.word();
        }
        let imposed = word.is_imposed().then(|| self.outside.imposed.get());
        let gate = self.gate(word);
        let (state, why) = match imposed.flatten() {
            Some(imposed) => (imposed.value, Why::Imposed(imposed.until)),
            None => (word.rest().max(gate), self.why(word, gate)),
        };
        let order_is_over = imposed.is_some_and(|imposed| imposed.is_none());
        if state != word.told() || order_is_over {
            self.see();
        }
        Standing { state, word, why }
    }

    fn gate(&self, word: Word) -> FeatureState {
        if word.is_gated() {
            self.engine.settings.gate(self.level())
        } else {
            FeatureState::Enabled
        }
    }

    fn level(&self) -> DegradationLevel {
        self.outside.level(&self.engine.settings)
    }

    fn why(&self, word: Word, gate: FeatureState) -> Why {
        let (rest, until) = (word.rest(), self.engine.until());
        match rest.max(gate) {
            FeatureState::Enabled if word.is_ramping() => Why::Ramp(until),
            FeatureState::Enabled => Why::Default,
            _ if gate > rest => Why::Level,
            state if state == word.configured() => Why::Configured,
            _ => Why::Errors(until),
        }
    }

    /// Looks at what comes from outside, and publishes what follows from it.
    #[cold]
    pub(super) fn see(&self) {
        loop {
            let views = self.engine.views();
            // Either may let the registry catch up, and that may call us back: so with no lock held.
            let view = View {
                imposed: self.outside.imposed.get().map(|imposed| imposed.value),
                level: if self.engine.settings.is_gated() {
                    self.level()
                } else {
                    DegradationLevel::Full
                },
                fleet: self.outside.fleet.get().map(|trip| self.at(trip.until)),
            };
            if self.engine.see(views, view, self.now()).is_ok() {
                break;
            }
        }
        self.tell();
    }

    pub(super) fn configure(&self, state: FeatureState) {
        self.engine.configure(state, self.now());
        self.tell();
    }

    /// A call that `word` let in has failed.
    #[cold]
    pub(super) fn failed(&self, word: Word) {
        if self.engine.failed(word, self.now(), || self.random.unit()) {
            self.tell();
        }
    }

    /// Dates successes, if it is time to.
    #[cold]
    pub(super) fn date(&self) {
        let now = self.now();
        if self.engine.is_bucket_over(now) {
            self.engine.date(now);
        }
    }

    /// Tells waiters, the event stream and the log what has changed, in order and without any lock.
    fn tell(&self) {
        while let Some(change) = self.engine.unsaid() {
            // A log that panics must not silence the flag for good.
            let unwinding = OnUnwind(|| self.engine.said());
            self.changed.notify_waiters();
            voice::changed(self, change);
            unwinding.disarm();
            self.engine.said();
        }
    }
}
