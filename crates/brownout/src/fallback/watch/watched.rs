use std::{fmt, marker::PhantomData, sync::Arc, task::Context, time::Duration};

use brownout_registry::{DegradationLevel, Dependency};
use tokio::time::Instant;

use super::{
    Chain, Exercising, Settings, Skip, Watch, Watching,
    health::TierHealth,
    shared::Shared,
    times::{Timed, Timing, Untimed},
};
use crate::{
    core::{Cause, ConfigError, threads},
    fallback::run::ServedBy,
};

/// A chain with somebody to tell, switches, or (as `Watched<Timed>`) times of its own to keep.
///
/// It holds several handles on the same, one of which each call takes by its thread: threads that took the same one
/// would contend for its reference count.
pub struct Watched<T = Untimed> {
    handles: Arc<[Arc<Handle>; HANDLES]>,
    /// Whether the primary is ever passed over.
    passes_over: bool,
    times: PhantomData<fn() -> T>,
}

/// A handle whose reference count lies apart from the others'.
#[derive(Debug)]
#[repr(align(128))]
struct Handle(Chain);

/// What a call carries of its chain.
pub struct WatchedCall<T> {
    handle: Arc<Handle>,
    times: T,
}

const HANDLES: usize = 8;

impl<T> Watched<T> {
    /// A handle on the chain.
    pub(in crate::fallback) fn chain(&self) -> Chain {
        self.mine().0.clone()
    }

    /// The calling thread's.
    #[inline]
    fn mine(&self) -> &Arc<Handle> {
        &self.handles[threads::number() % HANDLES]
    }
}

impl<T: Timing> Watching for Watched<T> {
    type AndWatched = Self;
    type AndTimed = Watched<Timed>;
    type Call = WatchedCall<T>;

    fn of(settings: &Settings) -> Result<Self, ConfigError> {
        let shared = Arc::new(settings.share()?);
        if let Some(dependency) = &shared.dependency {
            dependency.registry().attach_meter(&shared);
        }
        let handle = |_| Arc::new(Handle(Chain(Arc::clone(&shared))));
        Ok(Self {
            handles: Arc::new(std::array::from_fn(handle)),
            passes_over: shared.passes_over(),
            times: PhantomData,
        })
    }

    #[inline]
    fn begin(&self) -> WatchedCall<T> {
        let handle = Arc::clone(self.mine());
        let times = T::start(handle.0.0.within);
        WatchedCall { handle, times }
    }

    #[inline]
    fn passes_over_primary(&self) -> bool {
        self.passes_over && self.mine().0.0.passes_over_primary()
    }
}

impl<S, Req, Tiers, T> Exercising<S, Req, Tiers> for Watched<T>
where
    Self: Watching,
{
    type Held = ();

    #[inline]
    fn nothing() {}

    #[inline]
    fn exercise(
        &self,
        _: &mut Self::Call,
        _: bool,
        _: &mut S,
        _: &Tiers,
        request: Req,
    ) -> Result<(), Req> {
        Err(request)
    }
}

impl<T: Timing> WatchedCall<T> {
    #[inline]
    pub(super) fn shared(&self) -> &Shared {
        &self.handle.0.0
    }

    pub(super) fn begin_exercise(&mut self) {
        self.times.exercise(true);
    }

    fn bounded(&self, now: Instant, timeout: Option<Duration>) -> Option<Instant> {
        let due = timeout.and_then(|timeout| now.checked_add(timeout));
        match (due, self.times.total()) {
            (Some(due), Some(total)) => Some(due.min(total)),
            (due, total) => due.or(total),
        }
    }

    /// A tier's timeout, or less where it is only exercised.
    fn patience(&self, timeout: Option<Duration>) -> Option<Duration> {
        match &self.shared().exercises {
            Some(exercises) if self.times.is_exercise() => {
                Some(timeout.map_or(exercises.patience, |timeout| {
                    timeout.min(exercises.patience)
                }))
            }
            _ => timeout,
        }
    }
}

impl<T: Timing> Watch for WatchedCall<T> {
    const NAMES: bool = true;

    #[inline]
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.times.is_late(cx)
    }

    fn begin(&mut self, tier: usize, timeout: Option<Duration>) -> Result<Option<Instant>, Skip> {
        let timeout = self.patience(timeout);
        if let Some(skip) = self.shared().tiers.get(tier).and_then(TierHealth::skip) {
            return Err(skip);
        }
        if !T::MEASURES && timeout.is_none() {
            return Ok(None);
        }
        let now = Instant::now();
        self.times.ask(now);
        if self.times.total().is_some_and(|total| total <= now) {
            return Err(Skip::Late);
        }
        Ok(self.bounded(now, timeout))
    }

    fn begin_last(&mut self) -> Option<Instant> {
        if !T::MEASURES {
            return None;
        }
        let now = Instant::now();
        self.times.ask(now);
        if self.times.is_exercise() {
            self.bounded(now, self.patience(None))
        } else {
            None
        }
    }

    fn elapsed(&self) -> Option<Duration> {
        self.times.elapsed()
    }

    fn trusted(&self, cause: Cause) -> Cause {
        trusted(self.shared().dependency.as_ref(), cause)
    }

    fn trusted_of_tier(&self, tier: usize, cause: Cause) -> Cause {
        let tier = self.shared().tiers.get(tier);
        trusted(tier.and_then(TierHealth::stands_for), cause)
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
        if shared.dependency.is_some()
            && let Some(tier) = shared.tiers.get(by.index)
        {
            tier.served(by.reason);
        }
        if self.times.is_exercise() {
            shared.not_needed();
        } else if let Some(dependency) = &shared.dependency {
            shared.spells.served(by, dependency);
        }
    }

    #[inline]
    fn primary_answered(&self) {
        self.shared().not_needed();
    }

    #[inline]
    fn is_exercise(&self) -> bool {
        self.times.is_exercise()
    }

    fn end_exercise(&mut self) {
        self.times.exercise(false);
        self.times.ask(Instant::now());
    }

    fn public_name(&self) -> Option<Arc<str>> {
        self.shared().public_name()
    }

    fn level(&self) -> DegradationLevel {
        self.shared().level()
    }
}

/// The cause, which proves nothing where it is a refusal by another guard than this dependency's.
fn trusted(guarded: Option<&Dependency>, cause: Cause) -> Cause {
    match (guarded, cause.refusal()) {
        (Some(guarded), Some(refusal)) if refusal.dependency() != guarded.name() => {
            cause.unproven()
        }
        _ => cause,
    }
}

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self {
            handles: Arc::clone(&self.handles),
            passes_over: self.passes_over,
            times: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mine().fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for WatchedCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedCall")
            .field("covers", &self.handle.0.dependency().map(Dependency::name))
            .field("times", &self.times)
            .finish()
    }
}
