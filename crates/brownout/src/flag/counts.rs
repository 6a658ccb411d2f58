//! Counting outcomes without a contended line: totals striped by thread.

use std::sync::Arc;

use crate::core::sync::{AtomicU64, Ordering::Relaxed};

/// How many threads can count without sharing a cache line. A constant, so that its cost is the same on every machine.
pub(super) const STRIPES: usize = 8;

/// Totals of one stripe, on cache lines of their own: adjacent ones are fetched in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Stripe {
    /// Of the generation that was present; windows are taken from their sum.
    pub(super) successes: AtomicU64,
    /// Of an earlier generation.
    pub(super) late_successes: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) neutral: AtomicU64,
    pub(super) abandoned: AtomicU64,
    /// Calls that did not reach the service.
    pub(super) diverted: AtomicU64,
    /// Those of them that nobody else answered, while the flag was degraded, and while it was off.
    pub(super) refused_degraded: AtomicU64,
    pub(super) refused_disabled: AtomicU64,
}

/// What a flag's calls came to since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Calls that succeeded.
    pub successes: u64,
    /// Calls that failed, and failures of readiness.
    pub failures: u64,
    /// Calls whose outcome said nothing about the feature.
    pub neutral: u64,
    /// Calls that were dropped before they were judged.
    pub abandoned: u64,
    /// Calls that did not reach the service, because the feature was degraded or disabled.
    pub diverted: u64,
}

impl Stripe {
    pub(super) fn new() -> Self {
        Self {
            successes: AtomicU64::new(0),
            late_successes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            neutral: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            diverted: AtomicU64::new(0),
            refused_degraded: AtomicU64::new(0),
            refused_disabled: AtomicU64::new(0),
        }
    }
}

/// The successes that windows are taken from.
pub(super) fn successes(stripes: &[Arc<Stripe>]) -> u64 {
    sum(stripes, |stripe| &stripe.successes)
}

pub(super) fn totals(stripes: &[Arc<Stripe>]) -> Totals {
    Totals {
        successes: successes(stripes) + sum(stripes, |stripe| &stripe.late_successes),
        failures: sum(stripes, |stripe| &stripe.failures),
        neutral: sum(stripes, |stripe| &stripe.neutral),
        abandoned: sum(stripes, |stripe| &stripe.abandoned),
        diverted: sum(stripes, |stripe| &stripe.diverted),
    }
}

/// Calls that were refused: while the flag was degraded, and while it was off.
pub(super) fn refusals(stripes: &[Arc<Stripe>]) -> [u64; 2] {
    [
        sum(stripes, |stripe| &stripe.refused_degraded),
        sum(stripes, |stripe| &stripe.refused_disabled),
    ]
}

fn sum(stripes: &[Arc<Stripe>], counter: impl Fn(&Stripe) -> &AtomicU64) -> u64 {
    stripes
        .iter()
        .map(|stripe| counter(stripe).load(Relaxed))
        .sum()
}
