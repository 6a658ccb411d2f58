//! The numbers of a policy that the fast path reads, each an atomic so that they can be turned while calls are under
//! way.
//!
//! A call that reads them in the middle of a change may see some old and some new. That can raise an alarm for
//! nothing, never open a circuit: alarms are answered under the lock, where knobs are also turned.

use std::num::NonZeroU32;

use crate::core::{
    Ratio,
    sync::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use super::{
    counts::Sums,
    credit::missing,
    hanging::STEPS,
    machine::{Cause, Nanos, nanos},
    policy::{Abandoned, Policy, Window},
};

#[derive(Debug)]
pub(super) struct Knobs {
    /// The length of a sub-bucket; 0 without a window, [`CALLS`] where it is of calls.
    bucket: AtomicU64,
    /// The slow threshold; 0 where slowness does not count.
    slow: AtomicU64,
    minimum: AtomicU32,
    /// In billionths; 0 is off, as with the next two.
    failure_ratio: AtomicU32,
    slow_ratio: AtomicU32,
    run: AtomicU32,
    /// After how long a dropped call counts as a failure.
    abandoned: AtomicU64,
}

/// Longer than any window of time.
const CALLS: Nanos = Nanos::MAX;

impl Default for Knobs {
    fn default() -> Self {
        Self {
            bucket: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            minimum: AtomicU32::new(0),
            failure_ratio: AtomicU32::new(0),
            slow_ratio: AtomicU32::new(0),
            run: AtomicU32::new(0),
            abandoned: AtomicU64::new(Self::ABANDONED_NEUTRAL),
        }
    }
}

impl Knobs {
    pub(super) const ABANDONED_NEUTRAL: Nanos = Nanos::MAX;
    pub(super) const ABANDONED_FAILS: Nanos = 0;

    pub(super) fn set(&self, policy: &Policy, bucket: Nanos) {
        let slow = policy.slow.map_or(0, |slow| nanos(slow.threshold));
        let counts_calls = policy.needs_window() && matches!(policy.window, Window::Calls(_));
        let abandoned = match policy.abandoned() {
            Abandoned::Neutral => Self::ABANDONED_NEUTRAL,
            Abandoned::Failure => Self::ABANDONED_FAILS,
            // So that it is told from the other two.
            Abandoned::FailureIfSlowerThan(limit) => {
                nanos(limit).clamp(1, Self::ABANDONED_NEUTRAL - 1)
            }
        };
        self.abandoned.store(abandoned, Relaxed);
        self.bucket
            .store(if counts_calls { CALLS } else { bucket }, Relaxed);
        self.slow.store(slow, Relaxed);
        self.minimum.store(policy.minimum_calls, Relaxed);
        self.failure_ratio
            .store(policy.failure_ratio.map_or(0, Ratio::billionths), Relaxed);
        self.slow_ratio.store(
            policy.slow.map_or(0, |slow| slow.ratio.billionths()),
            Relaxed,
        );
        self.run.store(
            policy.consecutive_failures.map_or(0, NonZeroU32::get),
            Relaxed,
        );
    }

    #[inline]
    pub(super) fn bucket(&self) -> Nanos {
        match self.bucket.load(Relaxed) {
            CALLS => 0,
            bucket => bucket,
        }
    }

    #[inline]
    pub(super) fn slow(&self) -> Nanos {
        self.slow.load(Relaxed)
    }

    /// The step in which hanging calls are noticed; 0 where slowness does not count.
    #[inline]
    pub(super) fn step(&self) -> Nanos {
        match self.slow() {
            0 => 0,
            slow => (slow / STEPS).max(1),
        }
    }

    #[inline]
    pub(super) fn minimum(&self) -> u32 {
        self.minimum.load(Relaxed)
    }

    pub(super) fn abandoned(&self) -> Nanos {
        self.abandoned.load(Relaxed)
    }

    /// Whether the policy asks when a call was admitted.
    #[inline]
    pub(super) fn timed(&self) -> bool {
        let abandoned = self.abandoned();
        self.slow() != 0
            || (abandoned != Self::ABANDONED_NEUTRAL && abandoned != Self::ABANDONED_FAILS)
    }

    #[inline]
    pub(super) fn counts_calls(&self) -> bool {
        self.bucket.load(Relaxed) == CALLS
    }

    #[inline]
    pub(super) fn windowed(&self) -> bool {
        self.bucket.load(Relaxed) != 0
    }

    /// Whether a run of failures opens the circuit by itself.
    #[inline]
    pub(super) fn run_trips(&self, run: u32) -> Option<Cause> {
        let limit = self.run.load(Relaxed);
        (limit != 0 && run >= limit).then_some(Cause::ConsecutiveFailures)
    }

    /// Whether what the window holds, with the calls that hang, opens the circuit.
    pub(super) fn trips(&self, held: Sums, hanging: u32, run: u32) -> Option<Cause> {
        if !self.windowed() {
            return self.run_trips(run);
        }
        match self.failures_trip(held, run) {
            // Where several thresholds are reached at once, shares come before runs.
            Some(Cause::ConsecutiveFailures) | None if self.slow_trips(held, hanging) => {
                Some(Cause::SlowRatio)
            }
            cause => cause,
        }
    }

    /// The same for a window in which slowness does not count.
    #[inline]
    pub(super) fn failures_trip(&self, held: Sums, run: u32) -> Option<Cause> {
        let calls = held.calls();
        if calls < self.minimum() {
            return self.run_trips(run);
        }
        reaches(&self.failure_ratio, held.failures, calls).then_some(Cause::FailureRatio)
    }

    /// How many failures more it takes at least until the ratio is reached; `None` while the minimum is what is
    /// missing, or where no ratio counts.
    #[inline]
    pub(super) fn missing_failures(&self, held: Sums) -> Option<u32> {
        let ratio = self.failure_ratio.load(Relaxed);
        (ratio != 0 && held.calls() >= self.minimum())
            .then(|| missing(held, Ratio::from_billionths(ratio)))
    }

    /// How far a run of failures is counted.
    #[inline]
    pub(super) fn counted_run(&self) -> u32 {
        self.run.load(Relaxed).max(COUNTED_RUN)
    }

    /// Whether slow calls do, those that hang among them.
    pub(super) fn slow_trips(&self, held: Sums, hanging: u32) -> bool {
        let calls = held.calls().saturating_add(hanging);
        let slow = held.slow.saturating_add(hanging);
        calls >= self.minimum() && reaches(&self.slow_ratio, slow, calls)
    }
}

/// What is worth showing of a run where no policy asks for more.
const COUNTED_RUN: u32 = 1_000;

fn reaches(billionths: &AtomicU32, part: u32, whole: u32) -> bool {
    let share = billionths.load(Relaxed);
    share != 0 && Ratio::from_billionths(share).reached_by(part, whole)
}
