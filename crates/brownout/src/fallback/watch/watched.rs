use std::{fmt, sync::Arc, task::Context, time::Duration};

use brownout_registry::{DegradationLevel, Dependency};
use tokio::time::Instant;

use super::{
    Chain, Exercising, Settings, Skip, Watch, Watching, health::TierHealth, shared::Shared,
};
use crate::{
    core::{Cause, ConfigError, threads},
    fallback::{run::ServedBy, timer::Timer},
};

/// A chain with times, names, switches, or somebody to tell.
///
/// It holds several handles on the same, one of which each call takes by its thread: threads that took the same one
/// would contend for its reference count.
#[derive(Clone)]
pub struct Watched(Arc<[Arc<Handle>; HANDLES]>);

/// A handle whose reference count lies apart from the others'.
#[derive(Debug)]
#[repr(align(128))]
struct Handle(Chain);

/// What a call carries of its chain.
pub struct WatchedCall {
    handle: Arc<Handle>,
    /// When the whole chain has to be done.
    total: Option<Instant>,
    timer: Timer,
    /// Since when whoever was asked last is being asked.
    since: Option<Instant>,
    exercises: bool,
}

const HANDLES: usize = 8;

impl Watched {
    /// A handle on the chain.
    pub(in crate::fallback) fn chain(&self) -> Chain {
        self.mine().0.clone()
    }

    /// The calling thread's.
    #[inline]
    fn mine(&self) -> &Arc<Handle> {
        &self.0[threads::number() % HANDLES]
    }
}

impl Watching for Watched {
    type AndWatched = Self;
    type Call = WatchedCall;

    fn of(settings: Settings) -> Result<Self, ConfigError> {
        let shared = Arc::new(settings.share()?);
        let handle = |_| Arc::new(Handle(Chain(Arc::clone(&shared))));
        Ok(Self(Arc::new(std::array::from_fn(handle))))
    }

    fn begin(&self) -> WatchedCall {
        let handle = Arc::clone(self.mine());
        let shared = &handle.0.0;
        let since = shared.timed.then(Instant::now);
        let total = since
            .zip(shared.within)
            .and_then(|(now, within)| now.checked_add(within));
        WatchedCall {
            handle,
            total,
            timer: Timer::new(total),
            since,
            exercises: false,
        }
    }

    fn passes_over_primary(&self) -> bool {
        self.mine().0.0.passes_over_primary()
    }
}

impl<S, Req, T> Exercising<S, Req, T> for Watched {
    type Held = ();

    #[inline]
    fn nothing() {}

    #[inline]
    fn exercise(
        &self,
        _: &mut WatchedCall,
        _: bool,
        _: &mut S,
        _: &T,
        request: Req,
    ) -> Result<(), Req> {
        Err(request)
    }
}

impl WatchedCall {
    pub(super) fn shared(&self) -> &Shared {
        &self.handle.0.0
    }

    pub(super) fn begin_exercise(&mut self) {
        self.exercises = true;
    }

    fn bounded(&self, now: Instant, timeout: Option<Duration>) -> Option<Instant> {
        let due = timeout.and_then(|timeout| now.checked_add(timeout));
        match (due, self.total) {
            (Some(due), Some(total)) => Some(due.min(total)),
            (due, total) => due.or(total),
        }
    }

    /// The least of a tier's timeout and of what an exercise may take.
    fn patience(&self, timeout: Option<Duration>) -> Option<Duration> {
        let patience = self.shared().exercises.as_ref()?.patience;
        Some(timeout.map_or(patience, |timeout| timeout.min(patience)))
    }
}

impl Watch for WatchedCall {
    #[inline]
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.timer.is_over(cx)
    }

    fn begin(&mut self, tier: usize, timeout: Option<Duration>) -> Result<Option<Instant>, Skip> {
        let timeout = if self.exercises {
            self.patience(timeout)
        } else {
            timeout
        };
        let shared = self.shared();
        let skip = shared.tiers.get(tier).and_then(TierHealth::skip);
        let now = (shared.timed || timeout.is_some()).then(Instant::now);
        self.since = now;
        if let Some(skip) = skip {
            return Err(skip);
        }
        let Some(now) = now else {
            return Ok(None);
        };
        if self.total.is_some_and(|total| total <= now) {
            return Err(Skip::Late);
        }
        Ok(self.bounded(now, timeout))
    }

    fn begin_last(&mut self) -> Option<Instant> {
        self.since = (self.shared().timed || self.exercises).then(Instant::now);
        let now = self.since.filter(|_| self.exercises)?;
        self.bounded(now, self.patience(None))
    }

    fn elapsed(&self) -> Option<Duration> {
        let since = self.since.filter(|_| self.shared().timed)?;
        Some(Instant::now().saturating_duration_since(since))
    }

    fn trusted(&self, cause: Cause) -> Cause {
        match (&self.shared().dependency, cause.refusal()) {
            (Some(covered), Some(refusal)) if refusal.dependency() != covered.name() => {
                cause.unproven()
            }
            _ => cause,
        }
    }

    fn tier_answered(&self, tier: usize) {
        if let Some(tier) = self.shared().tiers.get(tier) {
            tier.answered();
        }
    }

    fn tier_failed(&self, tier: usize, cause: &Cause) {
        if let Some(tier) = self.shared().tiers.get(tier) {
            tier.failed(cause);
        }
    }

    fn served(&self, by: &ServedBy) {
        let shared = self.shared();
        if let Some(dependency) = shared.dependency.as_ref().filter(|_| !self.exercises) {
            shared.spells.served(by, dependency);
        }
    }

    #[inline]
    fn primary_answered(&self) {
        let shared = self.shared();
        if let Some(dependency) = &shared.dependency {
            shared.spells.primary_answered(dependency);
        }
    }

    #[inline]
    fn is_exercise(&self) -> bool {
        self.exercises
    }

    fn end_exercise(&mut self) {
        self.exercises = false;
        if self.shared().timed {
            self.since = Some(Instant::now());
        }
    }

    fn public_name(&self) -> Option<Arc<str>> {
        self.shared().public_name()
    }

    fn level(&self) -> DegradationLevel {
        self.shared().level()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mine().fmt(f)
    }
}

impl fmt::Debug for WatchedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedCall")
            .field("covers", &self.handle.0.dependency().map(Dependency::name))
            .field("exercises", &self.exercises)
            .finish_non_exhaustive()
    }
}
