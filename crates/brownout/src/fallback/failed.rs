use std::{error::Error, fmt, time::Duration};

use super::cause::Cause;

/// What a tier is given: the request, and what became of those before it.
#[derive(Debug)]
pub struct Failed<Req> {
    /// The request, as the primary got it.
    pub request: Req,
    history: History,
}

/// One that did not answer: the primary or a tier.
#[derive(Clone, Debug)]
pub struct Failure {
    tier: &'static str,
    cause: Cause,
    elapsed: Option<Duration>,
}

/// Everybody failed, or those who did not were not allowed to be asked.
///
/// Its text names tiers and quotes their errors: it is for logs, not for strangers.
#[derive(Clone, Debug)]
pub struct Exhausted {
    failures: Vec<Failure>,
}

/// The failures of one call so far. The latest is kept apart, so that the first costs no allocation.
#[derive(Clone, Debug)]
pub struct History {
    earlier: Vec<Failure>,
    latest: Failure,
}

impl<Req> Failed<Req> {
    pub(super) fn new(request: Req, history: History) -> Self {
        Self { request, history }
    }

    /// Why the one before this tier failed.
    pub fn cause(&self) -> &Cause {
        &self.history.latest.cause
    }

    /// Who has failed so far, in order: `primary`, then tiers by name.
    pub fn tiers(&self) -> impl Iterator<Item = &'static str> {
        self.failures().map(Failure::tier)
    }

    /// All failures so far, in order.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.history.iter()
    }
}

impl Failure {
    pub(super) fn new(tier: &'static str, cause: Cause, elapsed: Option<Duration>) -> Self {
        Self {
            tier,
            cause,
            elapsed,
        }
    }

    /// `primary`, or the name of the tier.
    pub fn tier(&self) -> &'static str {
        self.tier
    }

    /// Why it failed.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// How long it took. Measured where the chain has a deadline or was told what to do when it is exhausted; nobody
    /// else pays for the clock.
    pub fn elapsed(&self) -> Option<Duration> {
        self.elapsed
    }
}

impl Exhausted {
    /// All failures, in order, the primary's first.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.failures.iter()
    }
}

impl History {
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(super) fn new(first: Failure) -> Self {
        Self {
            earlier: Vec::new(),
            latest: first,
        }
    }

    pub(super) fn push(&mut self, failure: Failure) {
        self.earlier
            .push(std::mem::replace(&mut self.latest, failure));
    }

    pub(super) fn cause(&self) -> &Cause {
        &self.latest.cause
    }

    /// Why the primary itself did not answer.
    pub(super) fn first_cause(&self) -> &Cause {
        &self.earlier.first().unwrap_or(&self.latest).cause
    }

    fn iter(&self) -> impl Iterator<Item = &Failure> {
        self.earlier.iter().chain([&self.latest])
    }
}

impl From<History> for Exhausted {
    fn from(history: History) -> Self {
        let mut failures = history.earlier;
        failures.push(history.latest);
        Self { failures }
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no tier answered")?;
        for (n, failure) in self.failures.iter().enumerate() {
            let separator = if n == 0 { ": " } else { "; " };
            write!(f, "{separator}{} {}", failure.tier, failure.cause.kind())?;
            if let Some(elapsed) = failure.elapsed {
                write!(f, " after {elapsed:.1?}")?;
            }
            write!(f, " ({})", failure.cause)?;
        }
        Ok(())
    }
}

impl Error for Exhausted {}
