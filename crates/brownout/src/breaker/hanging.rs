//! Calls that are still out: how many have hung past the slow threshold, without a list of them.
//!
//! Each stripe counts the calls that are out by the eighth of the threshold in which they started. A bucket's word
//! holds which eighth it counts and how many, so that taking it over for a later one moves what is left, calls that
//! have hung for two whole thresholds, to `late`. Words also say which generation they count: a call admitted before
//! the last transition moves nothing, however long it hangs.

use std::num::NonZeroU32;

use crate::core::sync::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use super::machine::Nanos;

/// Steps of the threshold in which hanging calls are noticed.
pub(super) const STEPS: u64 = 8;
const BUCKETS: usize = 16;

/// A bucket's word, from the top: 16 bits of generation, 28 of step, 20 of count. They wrap, which could confuse only
/// words left behind 65,536 transitions or 2²⁸ steps ago.
const COUNT: u64 = (1 << 20) - 1;
const STEP: u64 = (1 << 28) - 1;

#[repr(align(128))]
#[derive(Debug)]
pub(super) struct Hanging {
    buckets: [AtomicU64; BUCKETS],
    /// 32 bits of generation, 32 of a signed count: a call may be seen to end before its bucket's rest arrives here.
    late: AtomicU64,
}

impl Hanging {
    pub(super) fn new() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            late: AtomicU64::new(0),
        }
    }

    /// Counts a call that starts now. The result is to be given back to [`ended`](Self::ended); `None` where there
    /// are too many to count.
    #[inline]
    pub(super) fn started(&self, now: Nanos, step: Nanos, generation: u64) -> Option<NonZeroU32> {
        let started = (now / step) & STEP;
        let label = label(generation, started);
        let bucket = &self.buckets[index(started)];
        let mut seen = bucket.load(Relaxed);
        loop {
            let same = seen & !COUNT == label;
            if same && seen & COUNT == COUNT {
                return None;
            }
            let next = if same { seen + 1 } else { label | 1 };
            match bucket.compare_exchange_weak(seen, next, AcqRel, Relaxed) {
                Ok(_) => {
                    if !same && seen >> 48 == label >> 48 && seen & COUNT > 0 {
                        self.shift_late(generation, (seen & COUNT).cast_signed());
                    }
                    #[expect(clippy::cast_possible_truncation, reason = "28 bits")]
                    return NonZeroU32::new(started as u32 + 1);
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Counts a call as no longer out.
    #[inline]
    pub(super) fn ended(&self, started: NonZeroU32, generation: u64) {
        let started = u64::from(started.get() - 1);
        let label = label(generation, started);
        let bucket = &self.buckets[index(started)];
        let mut seen = bucket.load(Relaxed);
        while seen & !COUNT == label && seen & COUNT > 0 {
            match bucket.compare_exchange_weak(seen, seen - 1, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
        self.shift_late(generation, -1);
    }

    /// How many of the stripe's calls, admitted in this generation, have been out for at least the threshold. May be
    /// off by calls that start or end at this moment.
    pub(super) fn count(&self, now: Nanos, step: Nanos, generation: u64) -> i64 {
        let present = (now / step) & STEP;
        let held = self.buckets.iter().map(|bucket| {
            let word = bucket.load(Acquire);
            let age = present.wrapping_sub(word >> 20) & STEP;
            // A call that started anywhere in its eighth has been out for the whole threshold nine later.
            let counts = word >> 48 == generation & 0xffff && age > STEPS && age <= STEP / 2;
            if counts { (word & COUNT).cast_signed() } else { 0 }
        });
        let late = self.late.load(Acquire);
        let late = if late >> 32 == generation & 0xffff_ffff { signed(late) } else { 0 };
        held.sum::<i64>() + late
    }

    fn shift_late(&self, generation: u64, by: i64) {
        let mut seen = self.late.load(Relaxed);
        loop {
            let ahead = (seen >> 32).wrapping_sub(generation) & 0xffff_ffff;
            let count = match ahead {
                0 => signed(seen) + by,
                // The word already counts a later generation: this call's is over.
                1..=0x7fff_ffff => return,
                _ => by,
            };
            let next = (generation & 0xffff_ffff) << 32 | (count.cast_unsigned() & 0xffff_ffff);
            match self.late.compare_exchange_weak(seen, next, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

fn label(generation: u64, started: u64) -> u64 {
    (generation & 0xffff) << 48 | started << 20
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn signed(late: u64) -> i64 {
    i64::from((late as u32).cast_signed())
}

#[expect(clippy::cast_possible_truncation, reason = "the remainder is below sixteen")]
fn index(started: u64) -> usize {
    (started % BUCKETS as u64) as usize
}
