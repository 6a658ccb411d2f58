use std::{fmt, sync::Arc, time::Duration};

use crate::core::Cause;

/// What became of one part.
#[derive(Clone, Debug)]
pub struct PartOutcome<T> {
    name: Name,
    ending: Ending<T>,
}

/// A part's value, what stands in for it, or why there is neither.
#[derive(Clone, Debug)]
pub enum PartResult<T> {
    /// The part's own answer.
    Value(T),
    /// The part failed, for this cause, and this value stands in for it.
    Fallback(T, Cause),
    /// The part failed, for this cause, and nothing stands in for it.
    Missing(Cause),
}

/// What became of a part, whatever its name is.
#[derive(Clone, Debug)]
pub(super) struct Ending<T> {
    pub(super) value: Option<T>,
    /// Boxed: it is large and rare, and every value would have to be moved with room for it.
    pub(super) cause: Option<Box<Cause>>,
    pub(super) elapsed: Duration,
}

/// A part's name, which is known when a program is compiled, or when it is configured.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Name {
    Static(&'static str),
    Shared(Arc<str>),
}

impl<T> PartOutcome<T> {
    /// The part's name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// How long the part took, from when it began, its readiness included, until it ended. Zero for one that never began.
    /// Parts that end in one poll of the whole have the clock read once.
    pub const fn elapsed(&self) -> Duration {
        self.ending.elapsed
    }

    /// The value, be it the part's own or what stands in for it.
    pub const fn value(&self) -> Option<&T> {
        self.ending.value.as_ref()
    }

    /// The same, taken out.
    pub fn into_value(self) -> Option<T> {
        self.ending.value
    }

    /// The value, what stands in for it, or why there is neither.
    pub fn into_result(self) -> PartResult<T> {
        match (self.ending.value, self.ending.cause) {
            (Some(value), None) => PartResult::Value(value),
            (Some(value), Some(cause)) => PartResult::Fallback(value, *cause),
            (None, Some(cause)) => PartResult::Missing(*cause),
            (None, None) => PartResult::Missing(Cause::failed("no value")),
        }
    }

    /// Why the part failed, if it did.
    pub fn cause(&self) -> Option<&Cause> {
        self.ending.cause.as_deref()
    }

    /// Whether the part failed, with or without something that stands in for it.
    pub const fn failed(&self) -> bool {
        self.ending.cause.is_some()
    }

    /// Whether there is no value at all.
    pub const fn is_missing(&self) -> bool {
        self.ending.value.is_none()
    }
}

impl<T> Ending<T> {
    #[inline]
    pub(super) const fn of(self, name: Name) -> PartOutcome<T> {
        PartOutcome { name, ending: self }
    }
}

impl Name {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Static(name) => name,
            Self::Shared(name) => name,
        }
    }

    pub(super) fn shared(&self) -> Arc<str> {
        match self {
            Self::Static(name) => Arc::from(*name),
            Self::Shared(name) => Arc::clone(name),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
