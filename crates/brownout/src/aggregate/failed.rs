use std::{error::Error, fmt, sync::Arc, time::Duration};

use brownout_registry::DegradationLevel;

use crate::core::{Cause, CauseKind, Degraded, collector};

use super::outcome::Name;

/// A part that failed.
#[derive(Clone, Debug)]
pub struct FailedPart {
    pub(super) name: Name,
    pub(super) cause: Cause,
    pub(super) elapsed: Duration,
    pub(super) stood_in: bool,
    pub(super) covered: Covered,
}

/// What is known of the dependency that a part stands for.
#[derive(Clone, Debug)]
pub(super) struct Covered {
    pub(super) public_name: Option<Arc<str>>,
    pub(super) level: DegradationLevel,
}

/// The parts of one answer that failed, in the order in which they were declared.
///
/// A clone is cheap, and where none failed nothing is allocated.
#[derive(Clone, Debug, Default)]
pub struct FailedParts(Option<Arc<[FailedPart]>>);

/// A required part failed, so that there is no answer.
///
/// Its text quotes the part's error: it is for logs, not for strangers. Where a guard refused the part, the refusal is
/// its [`source`](Error::source), and a circuit breaker further out that [looks for it](crate::core::refusal_of) can
/// take the call as neutral. It is no [`Rejected`](crate::core::Rejected) itself, for other parts may have been asked.
#[derive(Clone, Debug)]
pub struct RequiredPart(FailedPart);

impl FailedPart {
    /// The part's name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Why it failed.
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }

    /// How long it took until it failed.
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Whether another value stands in for it.
    pub const fn has_fallback(&self) -> bool {
        self.stood_in
    }

    /// Why it failed, in words that strangers may read.
    pub fn public_text(&self) -> &'static str {
        match self.cause.kind() {
            CauseKind::TimedOut => "no answer in time",
            CauseKind::NotReady => "not ready",
            CauseKind::Connect => "not reachable",
            CauseKind::Rejected | CauseKind::Unhealthy => "not available at the moment",
            // What it said, and that it panicked, is nobody's business.
            _ => "failed",
        }
    }

    /// The mark of an answer that lacks the part: with the public name of the dependency that it
    /// [covers](super::AggregateBuilder::covering), and the tier `fallback` where another value stands in.
    pub fn mark(&self) -> Degraded {
        let mut mark = Degraded::new(self.cause.reason());
        mark.dependency.clone_from(&self.covered.public_name);
        mark.tier = self.stood_in.then(|| "fallback".into());
        mark.level = self.covered.level;
        mark
    }
}

impl FailedParts {
    pub(super) fn new(failed: Vec<FailedPart>) -> Self {
        Self((!failed.is_empty()).then(|| failed.into()))
    }

    /// Whether any part failed.
    pub const fn is_partial(&self) -> bool {
        self.0.is_some()
    }

    /// The failed parts, those that something stands in for among them.
    pub fn iter(&self) -> impl Iterator<Item = &FailedPart> {
        self.0.iter().flat_map(|failed| failed.iter())
    }

    /// Tells whoever collects the marks of the request that the parts are for.
    pub(super) fn collect(&self) {
        if self.is_partial() && collector::is_collecting() {
            for part in self.iter() {
                collector::collect(&part.mark());
            }
        }
    }

    /// These and those of an aggregate further out.
    #[cfg(feature = "http")]
    pub(super) fn and(self, others: &Self) -> Self {
        match (&self.0, &others.0) {
            (_, None) => self,
            (None, _) => others.clone(),
            (Some(_), Some(_)) => Self(Some(others.iter().chain(self.iter()).cloned().collect())),
        }
    }
}

impl RequiredPart {
    pub(super) const fn new(failed: FailedPart) -> Self {
        Self(failed)
    }

    /// The part's name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Why it failed.
    pub const fn cause(&self) -> &Cause {
        self.0.cause()
    }

    /// How long it took until it failed.
    pub const fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Why it failed, in words that strangers may read.
    pub fn public_text(&self) -> &'static str {
        self.0.public_text()
    }

    /// The public name of the dependency that the part covers.
    pub fn public_name(&self) -> Option<&str> {
        self.0.covered.public_name.as_deref()
    }
}

impl fmt::Display for RequiredPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "required part {} is missing, {} after {:.1?}: {}",
            self.name(),
            self.cause().kind(),
            self.elapsed(),
            self.cause()
        )
    }
}

impl Error for RequiredPart {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let refusal = self.cause().refusal()?;
        Some(refusal)
    }
}
