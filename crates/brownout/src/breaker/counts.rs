//! Counting outcomes without a contended line: totals striped by thread, and windows over them.
//!
//! Stripes only ever grow. A window of time is the difference between the totals now and a baseline, the totals
//! when the window began; ten baselines make ten sub-buckets, and moving on to the next one is the only thing that
//! happens to them. So an outcome costs one addition to a line of its own, and judging costs one pass over the
//! stripes, however many calls the window holds.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use crate::core::{
    Verdict,
    sync::{
        AtomicU8, AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use super::{
    credit::{Credit, Purse},
    hanging::Hanging,
    machine::Nanos,
};

/// How many stripes a circuit has. A constant, so that its cost is the same on every machine.
pub(super) const STRIPES: usize = 8;

/// Sub-buckets of a window of time.
pub(super) const BUCKETS: usize = 10;

/// Sums of outcomes that were counted for a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) successes: u32,
    pub(super) failures: u32,
    /// Successes and failures that were slow.
    pub(super) slow: u32,
}

impl Sums {
    pub(super) fn calls(self) -> u32 {
        self.successes.saturating_add(self.failures)
    }

    fn since(self, base: Self) -> Self {
        // Totals wrap; a window never holds 2³² calls, so differences do not.
        Self {
            successes: self.successes.wrapping_sub(base.successes),
            failures: self.failures.wrapping_sub(base.failures),
            slow: self.slow.wrapping_sub(base.slow),
        }
    }
}

/// The stripes of one circuit.
#[derive(Debug)]
pub(super) enum Stripes {
    /// A keyed circuit's: there may be very many of those, so it lies within.
    One(Stripe),
    Many(Box<[Arc<Padded>]>),
}

/// One stripe of several, with room behind it that keeps the next one off its cache lines.
#[derive(Debug)]
pub(super) struct Padded {
    stripe: Stripe,
    /// Failures that need not be judged.
    pub(super) purse: Purse,
    _room: [u8; ROOM],
}

/// Totals of one stripe.
#[derive(Debug)]
pub(super) struct Stripe {
    pub(super) successes: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) slow: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) neutral: AtomicU64,
    pub(super) abandoned: AtomicU64,
    /// Outcomes that no window counts: probes', and those of calls admitted before the last transition.
    pub(super) apart_successes: AtomicU64,
    pub(super) apart_failures: AtomicU64,
    hanging: OnceLock<Box<Hanging>>,
}

/// Two cache lines: adjacent ones are fetched in pairs.
const ROOM: usize = 128;

impl Stripes {
    pub(super) fn one() -> Self {
        Self::One(Stripe::new())
    }

    pub(super) fn many(stripes: usize) -> Self {
        let padded = || Padded {
            stripe: Stripe::new(),
            purse: Purse::new(),
            _room: [0; ROOM],
        };
        Self::Many((0..stripes).map(|_| Arc::new(padded())).collect())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(stripes) => stripes.len(),
        }
    }

    /// The stripe of that number; any number is that of the only one.
    pub(super) fn get(&self, number: usize) -> &Stripe {
        match self {
            Self::One(stripe) => stripe,
            Self::Many(stripes) => &stripes[number],
        }
    }

    /// The same, to be held by whoever counts there, if it is one of several.
    pub(super) fn share(&self, number: usize) -> Option<Arc<Padded>> {
        match self {
            Self::One(_) => None,
            Self::Many(stripes) => Some(Arc::clone(&stripes[number])),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stripe> {
        let (one, many) = match self {
            Self::One(stripe) => (Some(stripe), &[][..]),
            Self::Many(stripes) => (None, &**stripes),
        };
        one.into_iter()
            .chain(many.iter().map(|padded| &padded.stripe))
    }

    /// The totals that windows are taken from.
    #[inline]
    pub(super) fn sum(&self, with_slow: bool) -> Sums {
        match self {
            Self::One(stripe) => sum(std::iter::once(stripe), with_slow),
            Self::Many(stripes) => sum(stripes.iter().map(|padded| &padded.stripe), with_slow),
        }
    }
}

impl Deref for Padded {
    type Target = Stripe;

    #[inline]
    fn deref(&self) -> &Stripe {
        &self.stripe
    }
}

impl Stripe {
    fn new() -> Self {
        Self {
            successes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            neutral: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            apart_successes: AtomicU64::new(0),
            apart_failures: AtomicU64::new(0),
            hanging: OnceLock::new(),
        }
    }

    /// Begins to count the calls that are out, if it did not before.
    pub(super) fn count_hanging(&self) {
        self.hanging.get_or_init(|| Box::new(Hanging::new()));
    }

    #[inline]
    pub(super) fn hanging(&self) -> Option<&Hanging> {
        self.hanging.get().map(|hanging| &**hanging)
    }

    /// Counts a verdict in the totals only.
    pub(super) fn count_apart(&self, verdict: Verdict) {
        match verdict {
            Verdict::Success => self.apart_successes.fetch_add(1, Relaxed),
            Verdict::Failure | Verdict::Trip { .. } => self.apart_failures.fetch_add(1, Relaxed),
            Verdict::Neutral => self.neutral.fetch_add(1, Relaxed),
        };
    }
}

#[inline]
fn sum<'a>(stripes: impl Iterator<Item = &'a Stripe> + Clone, with_slow: bool) -> Sums {
    let (mut successes, mut failures, mut slow) = (0_u64, 0_u64, 0_u64);
    for stripe in stripes.clone() {
        successes = successes.wrapping_add(stripe.successes.load(Relaxed));
        failures = failures.wrapping_add(stripe.failures.load(Relaxed));
    }
    if with_slow {
        for stripe in stripes {
            slow = slow.wrapping_add(stripe.slow.load(Relaxed));
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "baselines and differences are taken modulo 2³²"
    )]
    Sums {
        successes: successes as u32,
        failures: failures as u32,
        slow: slow as u32,
    }
}

/// What the hot path reads of a window of time. Moved under the circuit's lock only.
#[derive(Debug)]
pub(super) struct TimeWindow {
    /// The sub-bucket that is being counted, and when it ends.
    epoch: AtomicU64,
    ends: AtomicU64,
    base: [AtomicU32; 3],
    /// The last sub-bucket with a failure or a slow call in it. Plus one, so that zero is never.
    last_bad: AtomicU64,
    /// Whether a success has to be judged, because it may be what reaches a threshold. Not where no bad call is in the
    /// window; nor, for the rest of a sub-bucket, once the window was seen to hold its minimum without reaching any:
    /// until then, nothing leaves the window and another success can only lower the ratios.
    watchful: AtomicU8,
    /// Failures that need not be judged, for all stripes.
    pub(super) credit: Credit,
}

impl TimeWindow {
    pub(super) fn new() -> Self {
        Self {
            epoch: AtomicU64::new(0),
            ends: AtomicU64::new(0),
            base: [AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)],
            last_bad: AtomicU64::new(0),
            watchful: AtomicU8::new(0),
            credit: Credit::new(),
        }
    }

    #[inline]
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Relaxed)
    }

    /// Whether a success only has to be counted.
    #[inline]
    pub(super) fn only_counts_successes(&self, now: Nanos) -> bool {
        !self.is_over(now) && !self.is_watchful()
    }

    /// Whether the present sub-bucket is over.
    #[inline]
    pub(super) fn is_over(&self, now: Nanos) -> bool {
        now >= self.ends.load(Relaxed)
    }

    #[inline]
    pub(super) fn is_watchful(&self) -> bool {
        self.watchful.load(Relaxed) != 0
    }

    /// What the window holds.
    #[inline]
    pub(super) fn held(&self, stripes: &Stripes, with_slow: bool) -> Sums {
        // Base before stripes: totals only grow, so a difference is never negative.
        let base = Sums {
            successes: self.base[0].load(Acquire),
            failures: self.base[1].load(Acquire),
            slow: if with_slow {
                self.base[2].load(Acquire)
            } else {
                0
            },
        };
        stripes.sum(with_slow).since(base)
    }

    /// Notes a bad call in the present sub-bucket.
    pub(super) fn mark_bad(&self) {
        let epoch = self.epoch() + 1;
        if self.last_bad.load(Relaxed) != epoch {
            self.last_bad.store(epoch, Relaxed);
        }
        self.set_watchful(true);
    }

    pub(super) fn set_watchful(&self, watchful: bool) {
        if self.is_watchful() != watchful {
            self.watchful.store(u8::from(watchful), Relaxed);
        }
    }

    fn publish(&self, base: Sums) {
        self.base[0].store(base.successes, Release);
        self.base[1].store(base.failures, Release);
        self.base[2].store(base.slow, Release);
    }

    /// Begins to count the sub-bucket `epoch`.
    pub(super) fn begin(&self, epoch: u64, bucket: Nanos) {
        let last_bad = self.last_bad.load(Relaxed);
        self.set_watchful(last_bad != 0 && epoch + 1 < last_bad + BUCKETS as u64);
        self.credit.void();
        self.ends.store((epoch + 1).saturating_mul(bucket), Relaxed);
        self.epoch.store(epoch, Release);
    }
}

/// The totals at the start of each sub-bucket, under the circuit's lock.
#[derive(Debug)]
pub(super) struct Baselines {
    successes: [u32; BUCKETS],
    failures: [u32; BUCKETS],
    /// Made with the first slow call, because to most policies none is.
    slow: Option<Box<[u32; BUCKETS]>>,
}

impl Baselines {
    pub(super) fn new() -> Self {
        Self {
            successes: [0; BUCKETS],
            failures: [0; BUCKETS],
            slow: None,
        }
    }

    fn at(&self, epoch: u64) -> Sums {
        let slot = slot(epoch);
        Sums {
            successes: self.successes[slot],
            failures: self.failures[slot],
            slow: self.slow.as_ref().map_or(0, |slow| slow[slot]),
        }
    }

    fn set(&mut self, epoch: u64, totals: Sums) {
        let slot = slot(epoch);
        self.successes[slot] = totals.successes;
        self.failures[slot] = totals.failures;
        if totals.slow != 0 || self.slow.is_some() {
            self.slow.get_or_insert_default()[slot] = totals.slow;
        }
    }

    /// Moves the window on to `epoch`. Never back: another thread's clock reading may be older than ours.
    pub(super) fn rotate(
        &mut self,
        now: Nanos,
        bucket: Nanos,
        window: &TimeWindow,
        stripes: &Stripes,
    ) {
        let epoch = now / bucket;
        let steps = epoch.saturating_sub(window.epoch()).min(BUCKETS as u64);
        if steps == 0 {
            return;
        }
        let totals = stripes.sum(true);
        for back in 0..steps {
            self.set(epoch - back, totals);
        }
        window.publish(self.at(epoch + 1));
        window.begin(epoch, bucket);
    }

    /// Empties the window.
    pub(super) fn clear(&mut self, window: &TimeWindow, stripes: &Stripes) {
        let now = stripes.sum(true);
        for epoch in 0..BUCKETS as u64 {
            self.set(epoch, now);
        }
        window.publish(now);
        window.last_bad.store(0, Relaxed);
        window.set_watchful(false);
        window.credit.void();
    }

    /// Keeps what was counted when the length of a sub-bucket changes from `old` to `new` nanoseconds: each new
    /// sub-bucket starts where the old one that covers its start did.
    pub(super) fn resize(
        &mut self,
        now: Nanos,
        old: Nanos,
        new: Nanos,
        window: &TimeWindow,
        stripes: &Stripes,
    ) {
        self.rotate(now, old, window, stripes);
        let last = now / old;
        let oldest = last.saturating_sub(BUCKETS as u64 - 1);
        let epoch = now / new;
        let mut resized = Self::new();
        for back in 0..BUCKETS as u64 {
            let start = epoch.saturating_sub(back).saturating_mul(new);
            let covering = (start / old).clamp(oldest, last);
            // Ten more, so that early in a circuit's life nothing falls below zero; slots go round in tens.
            resized.set(epoch + BUCKETS as u64 - back, self.at(covering));
        }
        *self = resized;
        window.publish(self.at(epoch + 1));
        // Whichever sub-bucket it was, the bad calls that are left are in the window somewhere.
        window.last_bad.store(epoch + 1, Relaxed);
        window.begin(epoch, new);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is below ten"
)]
fn slot(epoch: u64) -> usize {
    (epoch % BUCKETS as u64) as usize
}

/// The last so many calls, each a byte in a ring: a new outcome takes the place of the oldest.
#[derive(Debug)]
pub(super) struct CallWindow {
    slots: Box<[AtomicU8]>,
    pushed: AtomicU64,
    failures: AtomicU32,
    slow: AtomicU32,
}

const FAILED: u8 = 1;
const SLOW: u8 = 2;

impl CallWindow {
    pub(super) fn new(calls: u32) -> Self {
        Self {
            slots: (0..calls).map(|_| AtomicU8::new(0)).collect(),
            pushed: AtomicU64::new(0),
            failures: AtomicU32::new(0),
            slow: AtomicU32::new(0),
        }
    }

    /// A window of another length with the newest of these calls in it.
    pub(super) fn resized(&self, calls: u32) -> Self {
        let resized = Self::new(calls);
        let pushed = self.pushed.load(Acquire);
        let len = self.slots.len() as u64;
        let kept = pushed.min(len).min(u64::from(calls));
        for n in pushed - kept..pushed {
            let outcome = self.slots[Self::index(n, len)].load(Relaxed);
            resized.push(outcome & FAILED != 0, outcome & SLOW != 0);
        }
        resized
    }

    pub(super) fn calls(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn push(&self, failed: bool, slow: bool) {
        let outcome = (u8::from(failed) * FAILED) | (u8::from(slow) * SLOW);
        let n = self.pushed.fetch_add(1, Relaxed);
        let old = self.slots[Self::index(n, self.slots.len() as u64)].swap(outcome, Relaxed);
        shift(&self.failures, old & FAILED, outcome & FAILED);
        shift(&self.slow, old & SLOW, outcome & SLOW);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most the ring's length, which is a u32"
    )]
    pub(super) fn held(&self) -> Sums {
        let calls = self.pushed.load(Relaxed).min(self.slots.len() as u64) as u32;
        let failures = self.failures.load(Relaxed).min(calls);
        Sums {
            successes: calls - failures,
            failures,
            slow: self.slow.load(Relaxed).min(calls),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the remainder is below the ring's length"
    )]
    fn index(n: u64, len: u64) -> usize {
        (n % len) as usize
    }
}

fn shift(count: &AtomicU32, old: u8, new: u8) {
    if old == 0 && new != 0 {
        count.fetch_add(1, Relaxed);
    } else if old != 0 && new == 0 {
        count.fetch_sub(1, Relaxed);
    }
}
