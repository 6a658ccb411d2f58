use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::core::{Cause, CauseKind};

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
    /// Nothing, for a call whose error was the caller's own affair.
    history: Option<History>,
}

/// The failures of one call so far, the latest first: the first of them costs no allocation, and those of the tiers
/// before are shared with the tiers after.
#[derive(Clone, Debug)]
pub struct History {
    latest: Failure,
    before: Option<Arc<History>>,
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

    /// How long it took; nothing, for one that was passed over and for a primary whose readiness had failed before the
    /// call. Measured where the chain has a deadline, exercises a tier, or was told what to do when it is exhausted;
    /// nobody else pays for the clock.
    pub fn elapsed(&self) -> Option<Duration> {
        self.elapsed
    }
}

impl Exhausted {
    pub(super) fn of(history: Option<History>) -> Self {
        Self { history }
    }

    /// All failures, in order, the primary's first.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.history.iter().flat_map(History::iter)
    }
}

impl History {
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(super) fn new(first: Failure) -> Self {
        Self {
            latest: first,
            before: None,
        }
    }

    pub(super) fn and(self, failure: Failure) -> Self {
        Self {
            latest: failure,
            before: Some(Arc::new(self)),
        }
    }

    pub(super) fn cause(&self) -> &Cause {
        &self.latest.cause
    }

    /// Whether it is certain of each who failed that it had no effect.
    pub(super) fn proves_not_sent(&self) -> bool {
        self.iter().all(|failure| failure.cause.proves_not_sent())
    }

    /// Why the primary itself did not answer.
    #[inline]
    pub(super) fn first_cause(&self) -> &Cause {
        match &self.before {
            None => &self.latest.cause,
            Some(before) => before.first_cause(),
        }
    }

    /// Whether somebody was passed over because the request's body was not kept.
    pub(super) fn lacked_body(&self) -> bool {
        self.iter()
            .any(|failure| failure.cause.kind() == CauseKind::BodyNotKept)
    }

    fn iter(&self) -> impl Iterator<Item = &Failure> {
        let latest_first =
            move || std::iter::successors(Some(self), |history| history.before.as_deref());
        let count = latest_first().count();
        (0..count)
            .rev()
            .filter_map(move |back| latest_first().nth(back))
            .map(|history| &history.latest)
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no tier answered")?;
        for (n, failure) in self.failures().enumerate() {
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
