use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use brownout_registry::{Dependency, Random};
use tokio::time::Instant;

/// A call that was refused before it reached its service: by whom, why, and when it is worth trying again.
///
/// A refused call was certainly **not sent**. Where the refusal is an answer (HTTP, gRPC), the answer's extensions
/// carry a `Rejected`, so that layers further out know the cause. A refusal is never worth an immediate retry.
#[derive(Clone)]
pub struct Rejected {
    origin: Origin,
    reason: RejectReason,
    /// In nanoseconds since the origin's epoch: read against the clock only when somebody asks.
    until: Option<u64>,
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// The circuit is open.
    CircuitOpen,
    /// The circuit is half-open and all of its probes are out.
    CircuitHalfOpen,
    /// The circuit has just closed and admits a growing share of calls; this one was not among them.
    CircuitRamping,
    /// An operator holds the circuit open.
    CircuitForcedOpen,
    /// The service did not become ready in time.
    NotReady,
    /// A feature flag has stepped back, and nothing simpler stands in for the service.
    FlagDegraded,
    /// A feature flag is off.
    FlagDisabled,
}

impl RejectReason {
    /// The reason in kebab case, as it appears in logs and in problem types (`urn:brownout:circuit-open`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CircuitOpen => "circuit-open",
            Self::CircuitHalfOpen => "circuit-half-open",
            Self::CircuitRamping => "circuit-ramping",
            Self::CircuitForcedOpen => "circuit-forced-open",
            Self::NotReady => "not-ready",
            Self::FlagDegraded => "flag-degraded",
            Self::FlagDisabled => "flag-disabled",
        }
    }

    /// What a stranger may read.
    pub const fn title(self) -> &'static str {
        match self {
            Self::CircuitOpen | Self::CircuitForcedOpen => "Circuit open",
            Self::CircuitHalfOpen => "Circuit half-open",
            Self::CircuitRamping => "Circuit recovering",
            Self::NotReady => "Service not ready",
            Self::FlagDegraded => "Feature degraded",
            Self::FlagDisabled => "Feature disabled",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Rejected {
    /// A refusal by `origin`, worth another try after `retry_after`, where that is known.
    pub fn new(origin: Origin, reason: RejectReason, retry_after: Option<Duration>) -> Self {
        let until = retry_after.map(|after| origin.now().saturating_add(after));
        let until = until.map(|until| u64::try_from(until.as_nanos()).unwrap_or(u64::MAX));
        Self::at(origin, reason, until)
    }

    #[inline]
    pub(crate) fn at(origin: Origin, reason: RejectReason, until: Option<u64>) -> Self {
        Self {
            origin,
            reason,
            until,
        }
    }

    /// The name of the dependency whose guard refused the call; where a feature flag did, the flag's.
    pub fn dependency(&self) -> &str {
        &self.origin.0.name
    }

    /// The name that strangers may see; without one the dependency stays unnamed in public answers.
    pub fn public_name(&self) -> Option<&str> {
        self.origin.0.public_name.as_deref()
    }

    /// Why the call was refused.
    pub fn reason(&self) -> RejectReason {
        self.reason
    }

    /// How long, from now, before the next try makes sense, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        let until = Duration::from_nanos(self.until?);
        Some(until.saturating_sub(self.origin.now()))
    }

    /// [`retry_after`](Self::retry_after) in whole seconds, rounded up and lengthened by up to a fifth, so that
    /// callers who were refused together do not come back together. At least 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast to an integer saturates, and seconds are not negative"
    )]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let exact = self.retry_after()?.as_secs_f64();
        let later = exact * (1.0 + 0.2 * self.origin.0.random.unit());
        Some((later.ceil() as u64).max(1))
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("dependency", &self.dependency())
            .field("reason", &self.reason)
            .field("retry_after", &self.retry_after())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call to {} refused: {}", self.dependency(), self.reason)?;
        match self.retry_after() {
            Some(after) => write!(f, ", retry in {after:.1?}"),
            None => Ok(()),
        }
    }
}

impl Error for Rejected {}

/// Looks for a refusal in an error and its sources.
///
/// For classifiers over boxed errors, to whom a refusal by an inner layer says nothing about the dependency:
///
/// ```
/// use brownout::core::{BoxError, Verdict, refusal_of};
///
/// let classify = |r: Result<&String, &BoxError>| match r {
///     Err(e) if refusal_of(e.as_ref()).is_some() => Verdict::Neutral,
///     Err(_) => Verdict::Failure,
///     Ok(_) => Verdict::Success,
/// };
/// # let _ = classify;
/// ```
pub fn refusal_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Rejected> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rejected) = error.downcast_ref() {
            return Some(rejected);
        }
        // The source of an `io::Error` is that of the error which it holds: it passes over that error itself.
        let held = error.downcast_ref().and_then(io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

/// Who refuses: the dependency's names, shared by all refusals of one guard.
#[derive(Clone)]
pub struct Origin(Arc<Names>);

struct Names {
    name: String,
    public_name: Option<String>,
    random: Random,
    epoch: Instant,
}

impl Origin {
    /// The origin of refusals that guard `dependency`, by a clock that stood at zero at `epoch`.
    ///
    /// Each call makes an allocation of its own, so that threads which refuse at the same time can each be given
    /// one and do not contend for a reference count.
    pub fn new(dependency: &Dependency, epoch: Instant) -> Self {
        Self(Arc::new(Names {
            name: dependency.name().to_owned(),
            public_name: dependency.public_name().map(ToOwned::to_owned),
            random: dependency.registry().random(),
            epoch,
        }))
    }

    /// The origin of refusals by something that has names of its own.
    pub(crate) fn named(
        name: &str,
        public_name: Option<&str>,
        random: Random,
        epoch: Instant,
    ) -> Self {
        Self(Arc::new(Names {
            name: name.to_owned(),
            public_name: public_name.map(ToOwned::to_owned),
            random,
            epoch,
        }))
    }

    fn now(&self) -> Duration {
        Instant::now().saturating_duration_since(self.0.epoch)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Origin").field(&self.0.name).finish()
    }
}
