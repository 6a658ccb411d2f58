//! Calls that are still out: how many have hung past the slow threshold, without a list of them.
//!
//! Time goes in *steps*, eighths of the threshold. Each stripe counts the calls that are out by the step in which they
//! started, in a ring of sixteen; a ticket remembers its step. The first admission in each step moves the ring on,
//! under the circuit's lock: what is left in the bucket that is used again has hung for two whole thresholds, and goes
//! to `late`. So a call costs one addition when it starts and one when it ends, and no division.
//!
//! A call that ends takes itself out of its bucket, or out of `late` if its bucket may be gone. It decides that some
//! steps early, while both are counted as hanging: so the ring may move on meanwhile and no count is wrong for it. Only
//! if it moves by more than that at once, after a time without calls, does a call that ends at that moment leave one
//! too many in `late` and one too few in a young bucket, until that comes to be counted too. Nothing is ever lost.
//!
//! Counts are of one generation: who closes the circuit, or begins a generation anew, clears them. A call of an earlier
//! one is never taken out.

use crate::core::sync::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use super::machine::Nanos;

/// Steps of the threshold in which hanging calls are noticed.
pub(super) const STEPS: u64 = 8;
const BUCKETS: usize = 16;
/// From how many steps on a call is taken out of `late`: later than it begins to hang, earlier than its bucket goes.
const TAKEN_LATE: u64 = 12;

/// In which step a circuit is. Moved on under its lock only.
#[derive(Debug)]
pub(super) struct Steps {
    /// Steps are numbered through, even if their length changes.
    present: AtomicU64,
    ends: AtomicU64,
}

impl Steps {
    pub(super) fn new() -> Self {
        Self {
            present: AtomicU64::new(0),
            ends: AtomicU64::new(0),
        }
    }

    /// The present step, if it is not over: then admissions need not look for calls that hang.
    #[inline]
    pub(super) fn present(&self, now: Nanos) -> Option<u64> {
        (now < self.ends.load(Acquire)).then(|| self.last())
    }

    /// The step of the last admission.
    #[inline]
    pub(super) fn last(&self) -> u64 {
        self.present.load(Acquire)
    }

    /// Moves on to the step of `now`; says whether there was anything to move.
    pub(super) fn move_on<'a>(
        &self,
        now: Nanos,
        step: Nanos,
        stripes: impl Iterator<Item = &'a Hanging>,
    ) -> bool {
        let passed = self.passed(now, step);
        if passed == 0 {
            return false;
        }
        let last = self.last();
        for hanging in stripes {
            hanging.reuse((1..=passed.min(BUCKETS as u64)).map(|ahead| last + ahead));
        }
        let ends = self
            .ends
            .load(Relaxed)
            .saturating_add(passed.saturating_mul(step));
        self.present.store(last + passed, Release);
        self.ends.store(ends, Release);
        true
    }

    /// Has the next admission begin a step, of a new length.
    pub(super) fn resize(&self, now: Nanos, step: Nanos) {
        // Where the step that `now` is in began, so that all begin at multiples of their length.
        self.ends
            .store(now.checked_div(step).unwrap_or(0) * step, Release);
    }

    /// How many steps have begun since the last admission.
    pub(super) fn passed(&self, now: Nanos, step: Nanos) -> u64 {
        let over = now.checked_sub(self.ends.load(Acquire));
        over.and_then(|over| over.checked_div(step))
            .map_or(0, |whole| whole + 1)
    }
}

/// A stripe's calls that are out. Differences, which wrap: what comes out before it went in is below zero meanwhile.
#[repr(align(128))]
#[derive(Debug)]
pub(super) struct Hanging {
    out: [AtomicU32; BUCKETS],
    late: AtomicU32,
}

impl Hanging {
    pub(super) fn new() -> Self {
        Self {
            out: std::array::from_fn(|_| AtomicU32::new(0)),
            late: AtomicU32::new(0),
        }
    }

    /// Counts a call that starts in that step, the present one.
    #[inline]
    pub(super) fn started(&self, step: u64) {
        self.out[index(step)].fetch_add(1, Relaxed);
    }

    /// Counts a call as no longer out. `last` is the step of the last admission.
    #[inline]
    pub(super) fn ended(&self, step: u64, last: u64) {
        let count = if last.wrapping_sub(step) < TAKEN_LATE {
            &self.out[index(step)]
        } else {
            &self.late
        };
        count.fetch_sub(1, Relaxed);
    }

    /// How many of the stripe's calls have been out for at least the threshold, `passed` steps after the one of the
    /// last admission. Below zero only while others start and end: add all stripes up.
    pub(super) fn count(&self, last: u64, passed: u64) -> i64 {
        // A call that started anywhere in its eighth has been out for the whole threshold nine later.
        let youngest = (STEPS + 1).saturating_sub(passed);
        let held = (youngest..BUCKETS as u64)
            .map(|back| signed(self.out[index(last.wrapping_sub(back))].load(Relaxed)));
        held.sum::<i64>() + signed(self.late.load(Relaxed))
    }

    /// Forgets all calls.
    pub(super) fn clear(&self) {
        for count in self.out.iter().chain([&self.late]) {
            count.store(0, Relaxed);
        }
    }

    fn reuse(&self, steps: impl Iterator<Item = u64>) {
        for step in steps {
            let left = self.out[index(step)].swap(0, AcqRel);
            self.late.fetch_add(left, Relaxed);
        }
    }
}

fn signed(count: u32) -> i64 {
    i64::from(count.cast_signed())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is below sixteen"
)]
#[inline]
fn index(step: u64) -> usize {
    (step % BUCKETS as u64) as usize
}
