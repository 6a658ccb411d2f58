//! What a chain does besides asking: keeping times, telling the registry, switching tiers, exercising them.
//!
//! A chain that was told nothing of the kind is [`Unwatched`], which is nothing at run time either.

mod exercise;
mod handle;
mod health;
mod meter;
mod shared;
mod spell;
mod times;
mod unwatched;
mod watched;

use std::{sync::Arc, task::Context, time::Duration};

use brownout_registry::DegradationLevel;
use tokio::time::Instant;

use super::{plan::Plan, run::ServedBy};
use crate::core::{Cause, ConfigError, caught, unwind::OnUnwind};

pub(super) use self::shared::Settings;
pub use self::{
    exercise::{Exercise, Exercised, Held},
    handle::{Chain, SwitchError, TierView},
    times::{Timed, Timing, Untimed},
    unwatched::Unwatched,
    watched::{Watched, WatchedCall},
};

/// How a chain is watched.
pub trait Watching: Sized {
    /// The same, and at least with names and switches.
    type AndWatched: Watching;
    /// The same, and with times besides.
    type AndTimed: Watching;
    /// What a call carries of it.
    type Call: Watch;

    /// What was configured.
    #[doc(hidden)]
    fn of(settings: &Settings) -> Result<Self, ConfigError>;

    /// A call begins.
    fn begin(&self) -> Self::Call;

    /// Whether the primary is not to be asked at the moment, because it is known to be unhealthy.
    fn passes_over_primary(&self) -> bool;
}

/// Whether a call exercises a tier, and what it needs to ask the primary after all.
pub trait Exercising<S, Req, T>: Watching {
    /// Whether any call ever does.
    const EXERCISES: bool = false;
    /// What a call holds for that.
    type Held;

    /// Nothing.
    fn nothing() -> Self::Held;

    /// Everything, where this call shall exercise a tier. The request is given back where not.
    ///
    /// # Errors
    ///
    /// The request, where the primary is to be asked.
    fn exercise(
        &self,
        call: &mut Self::Call,
        is_safe: bool,
        primary: &mut S,
        tiers: &T,
        request: Req,
    ) -> Result<Self::Held, Req>;
}

/// Asks the primary after all, where a tier that was exercised has failed.
pub trait Resume<R, Req, Q> {
    /// Whether nothing is ever exercised.
    const NEVER: bool = false;

    /// The call, from its beginning.
    fn resume(&mut self, requests: &Q) -> Option<R>;
}

/// A call, as its chain watches it.
pub trait Watch {
    /// Whether marks can say what the chain covers; else those who collect a request's marks have no use for them.
    const NAMES: bool;

    /// Whether the chain's time is over. Sees to it that the task is woken when it is.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool;

    /// A tier is about to be asked. When it has to be done.
    ///
    /// # Errors
    ///
    /// Why it is not to be asked.
    fn begin(&mut self, tier: usize, timeout: Option<Duration>) -> Result<Option<Instant>, Skip>;

    /// The last tier is about to be asked. When it has to be done: never, unless it is exercised.
    fn begin_last(&mut self) -> Option<Instant>;

    /// How long whoever was asked last has taken, where that is measured.
    fn elapsed(&self) -> Option<Duration>;

    /// The cause, which proves nothing where it is a refusal by another dependency's guard: that comes from somewhere
    /// inside the primary, which may have done part of its work before.
    fn trusted(&self, cause: Cause) -> Cause;

    /// The cause for which a tier has failed, which proves nothing where it is a refusal by another guard than that of
    /// the dependency for which the tier stands.
    fn trusted_of_tier(&self, tier: usize, cause: Cause) -> Cause;

    /// A tier has answered.
    fn tier_answered(&self, tier: usize);

    /// A tier has failed.
    fn tier_failed(&self, tier: usize, cause: &Cause);

    /// The caller gets a tier's answer.
    fn served(&self, by: &ServedBy);

    /// The caller gets the primary's answer.
    fn primary_answered(&self);

    /// Whether the tier is asked for exercise only.
    fn is_exercise(&self) -> bool;

    /// The primary is asked after all.
    fn end_exercise(&mut self);

    /// What strangers may call the dependency that the chain covers.
    fn public_name(&self) -> Option<Arc<str>>;

    /// How degraded the system is.
    fn level(&self) -> DegradationLevel;

    /// Runs a tier's code, or somebody's who judges it. A panic is the tier's failure; one while it is exercised ends
    /// here, and gives nothing.
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn guard<T>(&self, tier: usize, run: impl FnOnce() -> T) -> Option<T> {
        // Caught too: what is told may be logged, and a second panic would end the process.
        let failed = OnUnwind(|| {
            caught(|| self.tier_failed(tier, &Cause::panicked("it panicked")));
        });
        let done = if self.is_exercise() {
            Some(caught(run)?)
        } else {
            Some(run())
        };
        failed.disarm();
        done
    }
}

/// Why a tier is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The chain's time is over.
    Late,
    /// It is switched off.
    SwitchedOff,
    /// A probe or a person says that it is unhealthy.
    Unhealthy,
    /// The request's body was not kept for it.
    BodyNotKept,
}

impl Skip {
    pub(super) fn cause(self) -> Cause {
        match self {
            Self::Late => Cause::skipped(),
            Self::SwitchedOff => Cause::switched_off(),
            Self::Unhealthy => Cause::unhealthy(),
            Self::BodyNotKept => Cause::body_not_kept(),
        }
    }
}

impl<J, Q, M, X, W: Watching> Plan<J, Q, M, X, W> {
    /// What a call carries of the plan.
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(super) fn begin(&self) -> Plan<J, Q, M, X, W::Call>
    where
        J: Clone,
        Q: Clone,
        M: Clone,
        X: Clone,
    {
        Plan {
            judge: self.judge.clone(),
            requests: self.requests.clone(),
            mark: self.mark.clone(),
            conclude: self.conclude.clone(),
            watch: self.watch.begin(),
        }
    }
}
