//! How long calls take, in buckets whose width grows with the time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::core::threads;

use super::machine::Nanos;

/// Counts of calls by their length, striped by thread.
///
/// Each power of two has eight buckets of the same width, as in an HDR histogram (Tene, 2013): the middle of one is at
/// most 6.3 % away from what it stands for. Below 8 µs they are a microsecond wide; the last takes what is longer than
/// an hour.
pub(super) struct Durations(Box<[Stripe]>);

#[repr(align(128))]
struct Stripe([AtomicU64; BUCKETS]);

const STRIPES: usize = 8;

/// A bucket's number is made of the time's highest four bits. 2^32 microseconds are 71 minutes.
const BUCKETS: usize = 240;
const PARTS: u64 = 8;

/// A microsecond, nearly: a shift in place of a division.
const UNIT_BITS: u32 = 10;

impl Durations {
    pub(super) fn new() -> Self {
        let stripe = |_| Stripe(std::array::from_fn(|_| AtomicU64::new(0)));
        Self((0..STRIPES).map(stripe).collect())
    }

    #[inline]
    pub(super) fn add(&self, time: Nanos) {
        let stripe = &self.0[threads::number() % STRIPES];
        stripe.0[bucket(time)].fetch_add(1, Relaxed);
    }

    /// The middle of each bucket that is not empty, and how many calls it holds.
    pub(super) fn held(&self) -> impl Iterator<Item = (Nanos, u64)> {
        (0..BUCKETS).filter_map(|bucket| {
            let count = |stripe: &Stripe| stripe.0[bucket].load(Relaxed);
            let held = self.0.iter().map(count).sum();
            (held > 0).then(|| (middle(bucket), held))
        })
    }
}

#[inline]
fn bucket(time: Nanos) -> usize {
    let time = time >> UNIT_BITS;
    // The number of bits beyond the highest four, of which the first is always set.
    let beyond = (u64::BITS - (time | PARTS).leading_zeros()) - 4;
    let number = u64::from(beyond) * PARTS + (time >> beyond);
    usize::try_from(number).map_or(BUCKETS - 1, |number| number.min(BUCKETS - 1))
}

fn middle(bucket: usize) -> Nanos {
    let number = bucket as u64;
    let beyond = (number / PARTS).saturating_sub(1);
    let lowest = (number - beyond * PARTS) << beyond;
    (lowest << UNIT_BITS) + (1 << beyond << UNIT_BITS) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_bucket_lies_in_it() {
        for number in 0..BUCKETS {
            assert_eq!(bucket(middle(number)), number);
        }
    }

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        let mut last = 0;
        for micros in 0..1_000_000_u64 {
            let next = bucket(micros << UNIT_BITS);
            assert!(next == last || next == last + 1, "at {micros}");
            last = next;
        }
    }

    #[test]
    fn a_time_is_told_to_a_sixteenth_and_the_longest_does_not_run_over() {
        let mut time = 8 << UNIT_BITS;
        while time < 3_600_000_000_000 {
            let error = middle(bucket(time)).abs_diff(time);
            assert!(error * 16 <= time + time / 100, "{time} is off by {error}");
            time += time / 37;
        }
        assert_eq!(bucket(Nanos::MAX), BUCKETS - 1);
    }
}
