//! What a ticket holds on to: one stripe of one flag.
//!
//! Threads take the cell of their own stripe, so that letting in and settling touch no reference count that another
//! thread touches too.

use std::{sync::Arc, time::Duration};

use brownout_registry::FeatureState;
use tokio::time::Instant;

use crate::core::{
    Cause, DegradeReason, Degraded, Origin, RejectReason, Rejected, Verdict,
    sync::Ordering::Relaxed,
};

use super::{
    counts::Stripe,
    settings::{Nanos, nanos},
    shared::{Shared, Why},
    voice,
    word::Word,
};

/// Aligned so that its reference count, which each call writes to, shares no cache line with what other threads read.
#[repr(align(128))]
pub(super) struct Cell {
    pub(super) shared: Arc<Shared>,
    stripe: Arc<Stripe>,
    origin: Origin,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leave {
    /// It goes to the service.
    Enter(Word),
    /// It does not: the flag is in that state, and until when, where that is known.
    Divert(FeatureState, Option<Nanos>),
}

/// Each so many successes of a stripe, one looks at the clock; a power of two.
const DATED: u64 = 64;

/// What refused callers are told at most while an operator's order lasts, which may be for days.
const ORDERED_RETRY_AFTER: Duration = Duration::from_mins(1);

impl Cell {
    pub(super) fn new(shared: &Arc<Shared>, number: usize) -> Self {
        Self {
            stripe: Arc::clone(shared.engine.stripe(number)),
            origin: Origin::named(
                &shared.name,
                shared.public_name.as_deref(),
                shared.outside.registry.random(),
                shared.epoch,
            ),
            shared: Arc::clone(shared),
        }
    }

    /// The shortest way in, for a flag that is plainly enabled and that nobody listens to. `None` asks for
    /// [`admit`](Self::admit).
    #[inline]
    pub(super) fn admit_plainly(&self) -> Option<Word> {
        let word = self.shared.engine.word();
        (word.is_plainly_enabled() && !voice::is_listened_to()).then_some(word)
    }

    /// Decides about a call. `promised` is what the service was passed by for, if it was: such a call never enters.
    #[inline(never)]
    pub(super) fn admit(&self, promised: Option<FeatureState>) -> Leave {
        let shared = &*self.shared;
        let standing = shared.standing();
        let (state, why) = match (promised, standing.state) {
            // What was promised has ended meanwhile, but the inner service was not made ready.
            (Some(promised), FeatureState::Enabled) => (promised, standing.why),
            (_, FeatureState::Enabled) => (self.ramped(standing.why), standing.why),
            (_, state) => (state, standing.why),
        };
        if voice::is_listened_to() {
            voice::evaluated(&shared.name, state, why);
        }
        if state == FeatureState::Enabled {
            return Leave::Enter(standing.word);
        }
        self.stripe.diverted.fetch_add(1, Relaxed);
        Leave::Divert(state, self.until(why))
    }

    /// Turns a share of calls away while the flag comes back.
    fn ramped(&self, why: Why) -> FeatureState {
        if let Why::Ramp(until) = why {
            let shared = &*self.shared;
            let share = shared
                .engine
                .settings
                .ramp_share(until.saturating_sub(shared.now()));
            if shared.random.unit() >= share {
                return FeatureState::Degraded;
            }
        }
        FeatureState::Enabled
    }

    /// Until when a state lasts, as far as is known.
    fn until(&self, why: Why) -> Option<Nanos> {
        match why {
            Why::Errors(until) | Why::Ramp(until) => Some(until),
            Why::Imposed(until) => {
                let left = until.saturating_duration_since(Instant::now());
                let now = self.shared.now();
                Some(now.saturating_add(nanos(left.min(ORDERED_RETRY_AFTER))))
            }
            Why::Default | Why::Configured | Why::Level => None,
        }
    }

    #[inline]
    pub(super) fn succeeded(&self, word: Word) {
        if word.is_of(self.shared.engine.word()) {
            let before = self.stripe.successes.fetch_add(1, Relaxed);
            if before % DATED == DATED - 1 {
                self.shared.date();
            }
        } else {
            self.stripe.late_successes.fetch_add(1, Relaxed);
        }
    }

    #[cold]
    pub(super) fn settled_otherwise(&self, word: Word, verdict: Verdict) {
        if verdict.is_failure() {
            self.stripe.failures.fetch_add(1, Relaxed);
            self.shared.failed(word);
        } else {
            self.stripe.neutral.fetch_add(1, Relaxed);
        }
    }

    #[cold]
    pub(super) fn abandoned(&self) {
        self.stripe.abandoned.fetch_add(1, Relaxed);
    }

    /// The service failed to become ready: a failure without a call.
    #[cold]
    pub(super) fn failed_readiness(&self) {
        self.settled_otherwise(self.shared.engine.word(), Verdict::Failure);
    }

    pub(super) fn rejected(&self, state: FeatureState, until: Option<Nanos>) -> Rejected {
        let (reason, refused) = match state {
            FeatureState::Disabled => (RejectReason::FlagDisabled, &self.stripe.refused_disabled),
            FeatureState::Enabled | FeatureState::Degraded => {
                (RejectReason::FlagDegraded, &self.stripe.refused_degraded)
            }
        };
        refused.fetch_add(1, Relaxed);
        Rejected::at(self.origin.clone(), reason, until)
    }

    /// The cause for which the service has failed a call, which proves nothing where it is a refusal by another guard than
    /// that of the flag's dependency.
    #[cold]
    pub(super) fn trusted(&self, cause: Cause) -> Cause {
        match (self.shared.outside.dependency(), cause.refusal()) {
            (Some(guarded), Some(refusal)) if refusal.dependency() != guarded.name() => {
                cause.unproven()
            }
            _ => cause,
        }
    }

    /// The mark of an answer that was given in the service's place.
    #[cold]
    pub(super) fn mark(&self, tier: &'static str, reason: DegradeReason) -> Degraded {
        Degraded {
            dependency: self.shared.public_name.clone(),
            tier: Some(tier.into()),
            reason,
            level: self.shared.outside.registry.level(),
            age: None,
            head_only: false,
        }
    }
}
