//! What can go wrong between a replica and the store.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::error::OverrideError;
use crate::overrides::{FleetOverrideId, Target};
use crate::text::{MAX_TEXT, said};

/// What kind of trouble the store is in, as far as it matters to whoever has to mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It cannot be reached, or the connection broke.
    Unreachable,
    /// It did not answer in time. Whether it has done what it was asked is unknown.
    TimedOut,
    /// It does not let us in, or not do this: a password, a right that is missing.
    Refused,
    /// It cannot do what we need: too old, or of another kind.
    Unsupported,
    /// What it holds in our place is not ours, or is damaged.
    Damaged,
    /// It takes no more: out of memory, or read-only.
    Full,
    /// Anything else.
    Other,
}

/// An operation on the store that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    kind: StoreErrorKind,
    detail: Arc<str>,
}

/// A decision for the whole fleet that did not come to be, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FleetError {
    /// It is not valid.
    Invalid(OverrideError),
    /// Somebody else has changed the overrides of the target at the same time.
    Stale {
        /// The target.
        target: Target,
    },
    /// The fleet has no such override on the target, as far as this replica knows.
    NotActive {
        /// The target.
        target: Target,
        /// What was asked for.
        id: FleetOverrideId,
    },
    /// The replica does not know yet what the fleet has decided: the store has not been there since it joined.
    NotSynchronised,
    /// The store has failed. Where it broke off, or timed out, it may have been done nevertheless.
    Store(StoreError),
    /// More decisions wait than a person makes.
    Busy,
    /// The replica has left the fleet.
    Left,
}

impl StoreErrorKind {
    /// What it is, in words fit for strangers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed out",
            Self::Refused => "access refused",
            Self::Unsupported => "not supported",
            Self::Damaged => "damaged data",
            Self::Full => "takes no writes",
            Self::Other => "failing",
        }
    }
}

impl StoreError {
    /// An error with a detail for operators, which may name addresses. The detail is cut off after 256 bytes; line breaks
    /// in it become spaces, other controls U+FFFD.
    pub fn new(kind: StoreErrorKind, detail: impl fmt::Display) -> Self {
        Self {
            kind,
            detail: said(&detail, MAX_TEXT),
        }
    }

    /// What kind of trouble it is.
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether nothing came back at all: the store is away, or slow.
    pub(super) const fn is_silence(&self) -> bool {
        matches!(
            self.kind,
            StoreErrorKind::Unreachable | StoreErrorKind::TimedOut
        )
    }

    /// **Private**: what the store, or the client, said.
    pub fn private_detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fleet store {}: {}", self.kind, self.detail)
    }
}

impl Error for StoreError {}

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => error.fmt(f),
            Self::Stale { target } => write!(
                f,
                "somebody else has just changed the fleet's overrides of {target}; look at what is in force now, and \
                 decide again"
            ),
            Self::NotActive { target, id } => write!(
                f,
                "the fleet has no override {id} on {target}: it has expired or was released already"
            ),
            Self::NotSynchronised => f.write_str(
                "this replica has not reached the fleet's store yet, so it does not know what the fleet has decided; \
                 set an override of this replica alone, or try again",
            ),
            Self::Store(error) if error.is_silence() || error.kind == StoreErrorKind::Other => write!(
                f,
                "{error}; whether it was done is not certain, so look again before repeating it"
            ),
            Self::Store(error) => error.fmt(f),
            Self::Busy => f.write_str("too many decisions wait for the fleet's store; try again"),
            Self::Left => f.write_str("this replica has left its fleet"),
        }
    }
}

impl Error for FleetError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Invalid(error) => Some(error),
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}
