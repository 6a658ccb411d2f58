//! Counting outcomes without a contended line: totals striped by thread.
//!
//! Stripes only ever grow, so an outcome costs one addition to a line of its own; windows are differences.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use crate::core::{
    Verdict,
    sync::{AtomicU64, Ordering::Relaxed},
};

use super::{credit::Purse, hanging::Hanging};

/// How many stripes a circuit has. A constant, so that its cost is the same on every machine.
pub(super) const STRIPES: usize = 8;

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

    pub(super) fn since(self, base: Self) -> Self {
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
