use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use brownout_registry::Random;
use tokio::time::Instant;
use tower_service::Service;

use super::{Chain, Exercising, Resume, Settings, Timed, Watched, WatchedCall, Watching};
use crate::{
    core::{ConfigError, Ratio},
    fallback::{chain::Tiers, requests::Requests, run::PrimaryRun},
};

/// How large a share of calls goes to the first tier though the primary is well, so that the tier is warm and known to
/// work when it is needed.
///
/// Only safe requests are used, while the covered dependency is healthy (its circuit closed) and the level is `Full`.
/// Where the tier fails, panics or takes too long, the primary answers, and only the tier is blamed.
///
/// | what | default | why |
/// |---|---|---|
/// | [`at_most`](Self::at_most) | 10 a second | keeps a cache warm, and nobody's capacity depends on it |
/// | [`patience`](Self::patience) | 100 ms | what a caller loses by a tier that does not work |
#[derive(Clone, Copy, Debug)]
pub struct Exercise {
    pub(super) share: f64,
    pub(super) at_most: u32,
    pub(super) patience: Duration,
}

/// A chain that exercises its first tier.
#[derive(Clone, Debug)]
pub struct Exercised(Watched<Timed>);

/// What a call that exercises a tier needs to ask the primary after all.
pub struct Held<S, Req, T>(Option<Box<Primary<S, Req, T>>>);

struct Primary<S, Req, T> {
    service: S,
    request: Req,
    tiers: T,
}

/// Decides which calls exercise a tier.
pub(super) struct Exercises {
    share: Ratio,
    at_most: u64,
    pub(super) patience: Duration,
    random: Random,
    epoch: Instant,
    /// The second since the epoch in the upper half, and how many calls of it in the lower.
    used: AtomicU64,
}

impl Exercise {
    /// This share of calls, above 0.0 and at most 1.0.
    pub const fn share(share: f64) -> Self {
        Self {
            share,
            at_most: 10,
            patience: Duration::from_millis(100),
        }
    }

    /// But at most so many a second, over all services of the chain in this process. Between 1 and a million.
    pub const fn at_most(mut self, per_second: u32) -> Self {
        self.at_most = per_second;
        self
    }

    /// The longest that the tier may take before the primary is asked; the tier's own timeout holds too. Less than the
    /// chain's deadline, if it has one.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl From<f64> for Exercise {
    fn from(share: f64) -> Self {
        Self::share(share)
    }
}

impl Exercises {
    pub(super) fn new(share: Ratio, exercise: &Exercise, random: Random) -> Self {
        Self {
            share,
            at_most: exercise.at_most.into(),
            patience: exercise.patience,
            random,
            epoch: Instant::now(),
            used: AtomicU64::new(0),
        }
    }

    pub(super) fn draws(&self) -> bool {
        self.random.unit() < self.share.get() && self.has_room()
    }

    /// Takes one of the places of this second, if there is one.
    fn has_room(&self) -> bool {
        let now = Instant::now().saturating_duration_since(self.epoch);
        self.has_room_in(now.as_secs())
    }

    fn has_room_in(&self, second: u64) -> bool {
        let second = second << 32;
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                // A thread that is late with what it read of the clock does not bring back a second that is over.
                let fresh = used.max(second);
                (fresh & u64::from(u32::MAX) < self.at_most).then(|| fresh + 1)
            })
            .is_ok()
    }
}

impl Watching for Exercised {
    type AndWatched = Self;
    type AndTimed = Self;
    type Call = WatchedCall<Timed>;

    fn of(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self(Watched::of(settings)?))
    }

    #[inline]
    fn begin(&self) -> WatchedCall<Timed> {
        self.0.begin()
    }

    #[inline]
    fn passes_over_primary(&self) -> bool {
        self.0.passes_over_primary()
    }
}

impl Exercised {
    pub(in crate::fallback) fn chain(&self) -> Chain {
        self.0.chain()
    }
}

impl<S: Clone, Req, T: Clone> Exercising<S, Req, T> for Exercised {
    const EXERCISES: bool = true;
    type Held = Held<S, Req, T>;

    #[inline]
    fn nothing() -> Held<S, Req, T> {
        Held(None)
    }

    fn exercise(
        &self,
        call: &mut WatchedCall<Timed>,
        is_safe: bool,
        primary: &mut S,
        tiers: &T,
        request: Req,
    ) -> Result<Held<S, Req, T>, Req> {
        if !(is_safe && call.shared().draws_exercise()) {
            return Err(request);
        }
        call.begin_exercise();
        // The instance that is ready goes with the call; whoever calls next makes the other ready.
        let other = primary.clone();
        Ok(Held(Some(Box::new(Primary {
            service: std::mem::replace(primary, other),
            request,
            tiers: tiers.clone(),
        }))))
    }
}

impl<S, Req, T, R, Q> Resume<R, Req, Q> for Held<S, Req, T>
where
    S: Service<Req>,
    Q: Requests<Req>,
    T: Tiers<Req, Q, PrimaryRun<S::Future, Q::Kept>, Run = R>,
{
    fn resume(&mut self, requests: &Q) -> Option<R> {
        let mut primary = self.0.take()?;
        let kept = requests.keep(&primary.request);
        let future = primary.service.call(primary.request);
        Some(primary.tiers.behind(PrimaryRun::called(future, kept)))
    }
}

impl<S, Req, T> fmt::Debug for Held<S, Req, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brownout_registry::Registry;

    #[test]
    fn one_who_read_the_clock_late_gets_no_place_of_a_second_that_has_passed() {
        let random = Registry::new().random();
        let exercises = Exercises::new(Ratio::ONE, &Exercise::share(1.0).at_most(2), random);
        assert!(exercises.has_room_in(7));
        let places = (0..10).filter(|n| exercises.has_room_in(if n % 2 == 0 { 8 } else { 7 }));
        assert_eq!(places.count(), 2);
        assert!(exercises.has_room_in(9));
    }
}
