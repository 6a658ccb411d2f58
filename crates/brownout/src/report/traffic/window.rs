//! A sliding window of time over counts, without a lock.

use std::time::Duration;

use crate::core::sync::{
    AtomicU64,
    Ordering::{AcqRel, Relaxed},
};

/// Sub-buckets of a window.
const BUCKETS: usize = 10;

/// Counts of the last while.
#[derive(Debug)]
pub(super) struct Window {
    /// How long a sub-bucket is, in nanoseconds.
    bucket: u64,
    buckets: [Bucket; BUCKETS],
    /// Numbers the looks.
    looks: AtomicU64,
}

#[derive(Debug, Default)]
struct Bucket {
    calls: Tagged,
    failures: Tagged,
    slow: Tagged,
    /// Of successes, in microseconds.
    latency: Tagged,
}

/// A count that knows which sub-bucket it belongs to: 24 bits of its number, then 40 of the count.
///
/// Whoever comes first in a new sub-bucket begins the count anew in the same step, so that none is lost and nobody has to
/// clear. A count that nobody has touched for 2^24 sub-buckets, at least 19 days, may come back to life once.
#[derive(Debug, Default)]
struct Tagged(AtomicU64);

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) slow: u64,
    micros: u64,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Self {
            bucket: (length / BUCKETS as u64).max(1),
            buckets: Default::default(),
            looks: AtomicU64::new(0),
        }
    }

    /// How long counts of one moment are apart from those of another.
    pub(super) const fn step(&self) -> u64 {
        self.bucket
    }

    /// How long it is.
    pub(super) const fn length(&self) -> u64 {
        self.bucket.saturating_mul(BUCKETS as u64)
    }

    pub(super) fn success(&self, now: u64, took: Duration) {
        let (number, bucket) = self.bucket(now);
        bucket.calls.add(number, 1);
        let micros = u64::try_from(took.as_micros()).unwrap_or(MOST);
        bucket.latency.add(number, micros);
    }

    pub(super) fn failure(&self, now: u64) {
        let (number, bucket) = self.bucket(now);
        bucket.calls.add(number, 1);
        bucket.failures.add(number, 1);
    }

    /// One of the calls, counted beside, was slow.
    pub(super) fn slow(&self, now: u64) {
        let (number, bucket) = self.bucket(now);
        bucket.slow.add(number, 1);
    }

    /// What it holds, and the number of this look: one with a higher number has seen all that counted before it was
    /// taken.
    pub(super) fn look(&self, now: u64) -> (u64, Held) {
        // So that whoever takes a higher number, wherever it runs, also sees what was counted before the lower ones.
        let number = 1 + self.looks.fetch_add(1, AcqRel);
        (number, self.held(now))
    }

    pub(super) fn held(&self, now: u64) -> Held {
        let last = now / self.bucket;
        let mut held = Held::default();
        for number in last.saturating_sub(BUCKETS as u64 - 1)..=last {
            let bucket = &self.buckets[place(number)];
            held.calls += bucket.calls.get(number);
            held.failures += bucket.failures.get(number);
            held.slow += bucket.slow.get(number);
            held.micros += bucket.latency.get(number);
        }
        held
    }

    fn bucket(&self, now: u64) -> (u64, &Bucket) {
        let number = now / self.bucket;
        (number, &self.buckets[place(number)])
    }
}

impl Held {
    /// How long successes took in the mean.
    pub(super) fn mean(&self) -> Option<Duration> {
        let successes = self.calls.saturating_sub(self.failures);
        let mean = self.micros.checked_div(successes)?;
        Some(Duration::from_micros(mean))
    }
}

const COUNT: u32 = 40;
const MOST: u64 = (1 << COUNT) - 1;

impl Tagged {
    fn add(&self, number: u64, more: u64) {
        let tag = number << COUNT;
        // Never fails: the closure always has an answer.
        let _ = self.0.fetch_update(Relaxed, Relaxed, |word| {
            let count = if word & !MOST == tag { word & MOST } else { 0 };
            Some(tag | count.saturating_add(more).min(MOST))
        });
    }

    fn get(&self, number: u64) -> u64 {
        let word = self.0.load(Relaxed);
        if word & !MOST == number << COUNT {
            word & MOST
        } else {
            0
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "less than ten")]
fn place(number: u64) -> usize {
    (number % BUCKETS as u64) as usize
}

#[cfg(all(test, not(brownout_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_has_left_it() {
        let window = Window::new(Duration::from_nanos(100));
        assert_eq!(window.held(0), Held::default());
        window.failure(5);
        window.slow(5);
        for now in [5, 50, 99] {
            assert_eq!(
                (window.held(now).failures, window.held(now).slow),
                (1, 1),
                "{now}"
            );
        }
        for now in [100, 105, 1_005] {
            assert_eq!(window.held(now), Held::default(), "{now}");
        }
        // Its place is taken by a later one, and the earlier does not come back.
        window.success(105, Duration::from_micros(7));
        assert_eq!((window.held(105).calls, window.held(105).failures), (1, 0));
        assert_eq!(window.held(105).mean(), Some(Duration::from_micros(7)));
    }

    proptest::proptest! {
        /// The slow, obvious model: every call with its sub-bucket; those of the last ten are in the window.
        #[test]
        fn a_window_holds_what_came_in_its_last_ten_sub_buckets(
            calls in proptest::collection::vec((0_u64..40, 0_u8..3), 0..200),
        ) {
            let window = Window::new(Duration::from_nanos(100));
            let (mut now, mut all) = (0, Vec::new());
            for (pause, kind) in calls {
                now += pause;
                match kind {
                    0 => window.success(now, Duration::from_micros(now)),
                    1 => window.failure(now),
                    _ => {
                        window.success(now, Duration::from_micros(now));
                        window.slow(now);
                    }
                }
                all.push((now, kind));
                let count = |counts: fn(u8) -> bool| {
                    let held = all.iter().filter(|(at, kind)| at / 10 + 10 > now / 10 && counts(*kind));
                    held.map(|(at, _)| (1, *at)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
                };
                let held = window.held(now);
                let ((calls, _), (failures, _)) = (count(|_| true), count(|kind| kind == 1));
                let ((slow, _), (_, micros)) = (count(|kind| kind == 2), count(|kind| kind != 1));
                proptest::prop_assert_eq!(held, Held { calls, failures, slow, micros });
            }
        }
    }

    #[test]
    fn counts_saturate_within_their_bits() {
        let window = Window::new(Duration::from_nanos(100));
        for _ in 0..3 {
            window.success(1, Duration::MAX);
        }
        assert_eq!((window.held(1).calls, window.held(1).micros), (3, MOST));
    }

    #[test]
    fn threads_lose_no_count_at_the_turn_of_a_bucket() {
        let window = Window::new(Duration::from_millis(1));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|now| window.failure(now * 90)));
            }
        });
        assert_eq!(window.held(9_999 * 90).failures, 40_000);
    }
}
