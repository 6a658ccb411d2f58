use std::time::Duration;

use brownout_registry::{CircuitMode, CircuitState};

use crate::core::sync::{AtomicU64, Ordering::Relaxed};

use super::counts::{Stripe, Stripes};

/// A picture of a circuit at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// The circuit's own state, whatever an operator imposes on it.
    pub state: CircuitState,
    /// What an operator imposes on it.
    pub mode: Option<CircuitMode>,
    /// Counts the transitions so far; outcomes of calls admitted in an earlier generation move nothing.
    pub generation: u64,
    /// How long until a probe is due, while open, or until the round ends, while half-open.
    pub retry_after: Option<Duration>,
    /// Calls that the window holds, none where the policy has no ratios. While open and half-open, what opened the
    /// circuit is still seen here and below; closing starts anew.
    pub window_calls: u32,
    /// Failures that the window holds.
    pub window_failures: u32,
    /// Slow calls that the window holds.
    pub window_slow: u32,
    /// Failures since the last success, counted up to 1,000 or the policy's limit, whichever is more.
    pub consecutive_failures: u32,
    /// Everything since the circuit was made.
    pub totals: Totals,
}

/// Counts since a circuit was made. They never fall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Calls judged [`Success`](crate::core::Verdict::Success), probes included.
    pub successes: u64,
    /// Calls judged [`Failure`](crate::core::Verdict::Failure) or [`Trip`](crate::core::Verdict::Trip).
    pub failures: u64,
    /// Judged calls whose head came late, while closed.
    pub slow: u64,
    /// Calls judged [`Neutral`](crate::core::Verdict::Neutral).
    pub neutral: u64,
    /// Calls dropped unjudged that the policy does not count as failures.
    pub abandoned: u64,
    /// Calls refused.
    pub rejected: u64,
}

impl Totals {
    pub(super) fn of(stripes: &Stripes) -> Self {
        let sum = |field: fn(&Stripe) -> &AtomicU64| {
            stripes
                .iter()
                .map(|stripe| field(stripe).load(Relaxed))
                .sum::<u64>()
        };
        Self {
            successes: sum(|s| &s.successes) + sum(|s| &s.apart_successes),
            failures: sum(|s| &s.failures) + sum(|s| &s.apart_failures),
            slow: sum(|s| &s.slow),
            neutral: sum(|s| &s.neutral),
            abandoned: sum(|s| &s.abandoned),
            rejected: sum(|s| &s.rejected),
        }
    }
}
