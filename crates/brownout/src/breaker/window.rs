//! A window of time over totals that only grow.
//!
//! It is the difference between the totals now and a baseline, the totals when the window began; ten baselines make ten
//! sub-buckets, and moving on to the next one is the only thing that happens to them. So judging costs one pass over the
//! stripes, however many calls the window holds.

use crate::core::sync::{
    AtomicU8, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    fence,
};

use super::{
    counts::{Stripes, Sums},
    credit::{Credit, Seen},
    machine::Nanos,
};

/// Sub-buckets of a window of time.
pub(super) const BUCKETS: usize = 10;

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

    /// Lets successes be, unless something has changed since `seen`: whoever judged by what was before must not have
    /// the last word.
    #[inline]
    pub(super) fn calm_down(&self, seen: Seen) {
        if self.is_watchful() {
            self.watchful.store(0, Relaxed);
            // Either this sees the change, or whoever made it sees this (`begin_version`).
            fence(SeqCst);
            if !self.credit.is_still(seen) {
                self.watchful.store(1, Relaxed);
            }
        }
    }

    /// To be called under the circuit's lock when what judging depends on has changed: voids what was granted before.
    pub(super) fn begin_version(&self, watchful: bool) {
        self.credit.void();
        fence(SeqCst);
        self.set_watchful(watchful);
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
        self.begin_version(last_bad != 0 && epoch + 1 < last_bad + BUCKETS as u64);
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
        window.begin_version(false);
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
