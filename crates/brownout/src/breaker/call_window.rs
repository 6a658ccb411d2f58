//! A window of calls: a ring that all threads share.

use crate::core::sync::{
    AtomicU8, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed},
};

use super::counts::Sums;

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
