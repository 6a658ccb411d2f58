use std::{any::Any, error::Error, fmt, io, sync::Arc};

use super::{BoxError, DegradeReason, RejectReason, Rejected, refusal_of, said::said};

/// Why a service (the primary of a chain, a tier) did not answer.
///
/// It is erased as soon as it is known: a text for people, a kind, and the refusal where there was one. The text may
/// hold what an upstream said, up to a kibibyte of it; it is for logs and operators, never for strangers.
#[derive(Clone, Debug)]
pub struct Cause {
    kind: CauseKind,
    not_sent: bool,
    text: Text,
    refusal: Option<Rejected>,
}

/// The kind of a [`Cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CauseKind {
    /// A guard (a circuit breaker, say) refused the call.
    Rejected,
    /// The service failed to become ready.
    NotReady,
    /// No connection could be made.
    Connect,
    /// The service failed, or its answer was judged a failure.
    Failed,
    /// It did not answer in time, or there was no time left to begin.
    TimedOut,
    /// It panicked. A chain catches a panic only of a tier that it exercises; else this is for what a layer further in
    /// has caught and made an error.
    Panicked,
    /// It was not asked, because a probe or a person says that it is unhealthy.
    Unhealthy,
    /// It was not asked, because it is switched off.
    SwitchedOff,
    /// It was not asked, because the request's body could not be kept for it.
    BodyNotKept,
    /// It was not asked, so that a tier is exercised.
    Exercise,
}

#[derive(Clone)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Cause {
    /// The service failed; the call may have had its effect.
    pub const fn failed(text: &'static str) -> Self {
        Self::new(CauseKind::Failed, false, Text::Static(text))
    }

    /// The service failed, as its error's `Display` says; the call may have had its effect. Allocates the text.
    pub fn describe(error: &impl fmt::Display) -> Self {
        Self::new(CauseKind::Failed, false, Text::of(error))
    }

    /// A guard refused the call, which was therefore not sent.
    pub fn rejected(refusal: &Rejected) -> Self {
        Self {
            refusal: Some(refusal.clone()),
            ..Self::new(
                CauseKind::Rejected,
                true,
                Text::Static(refusal.reason().as_str()),
            )
        }
    }

    /// No connection could be made, so that the call was not sent.
    pub const fn connect(text: &'static str) -> Self {
        Self::new(CauseKind::Connect, true, Text::Static(text))
    }

    /// The service did not answer in time; the call may have had its effect.
    pub const fn timed_out(text: &'static str) -> Self {
        Self::new(CauseKind::TimedOut, false, Text::Static(text))
    }

    /// The service panicked; the call may have had its effect.
    pub const fn panicked(text: &'static str) -> Self {
        Self::new(CauseKind::Panicked, false, Text::Static(text))
    }

    /// The kind.
    pub fn kind(&self) -> CauseKind {
        self.kind
    }

    /// What happened, for people who run the service.
    pub fn text(&self) -> &str {
        self.text.as_str()
    }

    /// The refusal, where a guard refused the call.
    pub fn refusal(&self) -> Option<&Rejected> {
        self.refusal.as_ref()
    }

    /// Whether it is certain that the call had no effect, so that a write may go elsewhere.
    pub fn proves_not_sent(&self) -> bool {
        self.not_sent
    }

    /// The reason that a degraded answer gives.
    pub fn reason(&self) -> DegradeReason {
        match (self.kind, &self.refusal) {
            (_, Some(refusal)) => DegradeReason::Refused(refusal.reason()),
            (CauseKind::NotReady, None) => DegradeReason::Refused(RejectReason::NotReady),
            (CauseKind::TimedOut, None) => DegradeReason::TimedOut,
            (CauseKind::Connect, None) => DegradeReason::Unreachable,
            (CauseKind::Unhealthy, None) => DegradeReason::Unhealthy,
            (CauseKind::Exercise, None) => DegradeReason::Exercise,
            _ => DegradeReason::Failed,
        }
    }

    const fn new(kind: CauseKind, not_sent: bool, text: Text) -> Self {
        Self {
            kind,
            not_sent,
            text,
            refusal: None,
        }
    }

    /// The cause where readiness failed: whatever the error says, the call was never made.
    pub(crate) fn not_ready(error: Self) -> Self {
        Self {
            kind: match error.kind {
                CauseKind::Rejected | CauseKind::Connect => error.kind,
                _ => CauseKind::NotReady,
            },
            not_sent: true,
            ..error
        }
    }

    /// The same cause, of which it is not certain that the call had no effect.
    pub(crate) fn unproven(self) -> Self {
        Self {
            not_sent: false,
            ..self
        }
    }

    pub(crate) const fn no_answer_in_time() -> Self {
        Self::timed_out("no answer in time")
    }

    pub(crate) const fn skipped() -> Self {
        Self::new(
            CauseKind::TimedOut,
            true,
            Text::Static("skipped: the deadline has passed"),
        )
    }

    /// The service was not asked, because a probe or a person says that it is unhealthy.
    pub const fn unhealthy() -> Self {
        Self::new(
            CauseKind::Unhealthy,
            true,
            Text::Static("skipped: a probe or a person says that it is unhealthy"),
        )
    }

    pub(crate) const fn switched_off() -> Self {
        Self::new(
            CauseKind::SwitchedOff,
            true,
            Text::Static("skipped: it is switched off"),
        )
    }

    pub(crate) const fn body_not_kept() -> Self {
        Self::new(
            CauseKind::BodyNotKept,
            true,
            Text::Static("skipped: the request's body was not kept"),
        )
    }

    pub(crate) const fn exercise() -> Self {
        Self::new(
            CauseKind::Exercise,
            true,
            Text::Static("not asked: a tier is exercised"),
        )
    }

    /// An error of a type of which nothing is known. Only what the error itself *is* proves anything: one that merely
    /// has a refusal among its sources may come from a service that had done half of its work before.
    pub(crate) fn of_error<E: fmt::Display + 'static>(error: &E) -> Self {
        let any: &dyn Any = error;
        if let Some(refusal) = any.downcast_ref::<Rejected>() {
            return Self::rejected(refusal);
        }
        if let Some(refused) = any.downcast_ref::<io::Error>().and_then(refused_connection) {
            return refused;
        }
        match any.downcast_ref::<BoxError>() {
            Some(error) => Self::of_boxed(error.as_ref()),
            None => Self::describe(error),
        }
    }

    fn of_boxed(error: &(dyn Error + Send + Sync + 'static)) -> Self {
        if let Some(refusal) = error.downcast_ref::<Rejected>() {
            return Self::rejected(refusal);
        }
        if let Some(refused) = error
            .downcast_ref::<io::Error>()
            .and_then(refused_connection)
        {
            return refused;
        }
        Self {
            not_sent: false,
            ..match refusal_of(error) {
                Some(refusal) => Self::rejected(refusal),
                None => Self::describe(&error),
            }
        }
    }

    /// What an error is to the most trusting of chains.
    pub(crate) fn of_any_chain<E: fmt::Display + 'static>(error: &E) -> Self {
        #[cfg(feature = "http")]
        return Self::of_transport(error);
        #[cfg(not(feature = "http"))]
        Self::of_error(error)
    }

    /// The error of a transport, of a type of which nothing is known.
    #[cfg(feature = "http")]
    pub(crate) fn of_transport<E: fmt::Display + 'static>(error: &E) -> Self {
        let any: &dyn Any = error;
        let sources = any
            .downcast_ref::<BoxError>()
            .map(|error| -> &(dyn Error + 'static) { error.as_ref() });
        Self::of_error(error).or_refused_connection(sources)
    }

    /// The error of a transport.
    #[cfg(feature = "http")]
    pub(crate) fn of_sources<E: Error + 'static>(error: &E) -> Self {
        Self::of_error(error).or_refused_connection(Some(error))
    }

    /// In the error of a transport a connection that was refused, however deep among the sources, is the connection
    /// over which the call would have gone.
    #[cfg(feature = "http")]
    fn or_refused_connection(self, error: Option<&(dyn Error + 'static)>) -> Self {
        if self.kind != CauseKind::Failed {
            return self;
        }
        std::iter::successors(error, |&error| error.source())
            .find_map(|error| error.downcast_ref().and_then(refused_connection))
            .unwrap_or(self)
    }
}

/// Of the errors that an operating system has for a connection, only this one cannot come after something was sent.
fn refused_connection(error: &io::Error) -> Option<Cause> {
    (error.kind() == io::ErrorKind::ConnectionRefused).then(|| Cause::connect("connection refused"))
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl CauseKind {
    /// The kind in kebab case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::NotReady => "not-ready",
            Self::Connect => "connect",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Panicked => "panicked",
            Self::Unhealthy => "unhealthy",
            Self::SwitchedOff => "switched-off",
            Self::BodyNotKept => "body-not-kept",
            Self::Exercise => "exercise",
        }
    }
}

impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Text {
    fn of(error: &impl fmt::Display) -> Self {
        Self::Shared(said(error).into())
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
