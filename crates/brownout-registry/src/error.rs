//! What can be wrong with what the registry is given, said so that the reader can mend it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::overrides::{MAX_STACKED, OverrideId, OverrideValue, Target};
use crate::text::cut;
use crate::vocab::Criticality;

/// A registry that cannot be built as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The dwell is longer than [`RegistryBuilder::MAX_DWELL`](crate::RegistryBuilder::MAX_DWELL).
    DwellTooLong {
        /// What was given.
        dwell: Duration,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DwellTooLong { dwell } => write!(
                f,
                "registry: dwell is {dwell:?}, which would keep the system degraded long after it has recovered; \
                 give at most {:?}",
                crate::RegistryBuilder::MAX_DWELL
            ),
        }
    }
}

impl Error for ConfigError {}

/// A dependency (or flag) that cannot be registered as described.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// A text does not fit its field.
    Invalid {
        /// The dependency's name, shortened for display where it is too long.
        dependency: String,
        /// The field: `name`, `public_name`, `description`, `affects` or `covered_by`.
        field: &'static str,
        /// What the field allows.
        allowed: &'static str,
    },
    /// The dependency is already registered with another explicit criticality.
    CriticalityConflict {
        /// The dependency's name.
        dependency: String,
        /// What it was registered as.
        registered: Criticality,
        /// What was asked for now.
        requested: Criticality,
    },
    /// The registry is full.
    Full {
        /// How many it holds.
        limit: usize,
    },
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid {
                dependency,
                field,
                allowed,
            } => {
                write!(
                    f,
                    "dependency {dependency:?}: {field} is not valid; it takes {allowed}"
                )
            }
            Self::CriticalityConflict {
                dependency,
                registered,
                requested,
            } => write!(
                f,
                "dependency {dependency:?} is already registered as {registered} and cannot be {requested} as well; \
                 name its criticality in one place only"
            ),
            Self::Full { limit } => write!(
                f,
                "the registry already holds {limit} names; register one dependency for a service, not for a request"
            ),
        }
    }
}

impl Error for RegisterError {}

/// A name that is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidName {
    /// What was to be named: `replica` or `target`.
    field: &'static str,
    /// What was given, shortened for display where it is too long.
    given: String,
    /// What the field allows.
    allowed: &'static str,
}

impl InvalidName {
    pub(crate) fn new(field: &'static str, given: &str, allowed: &'static str) -> Self {
        Self {
            field,
            given: cut(given, 64).to_owned(),
            allowed,
        }
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            given,
            allowed,
        } = self;
        write!(f, "{field} {given:?} is not valid; it takes {allowed}")
    }
}

impl Error for InvalidName {}

/// An override that cannot be set or released.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverrideError {
    /// A field of the [`Order`](crate::Order) is not valid.
    InvalidOrder {
        /// The field: `actor`, `reason` or `ttl`.
        field: &'static str,
        /// What the field allows.
        allowed: &'static str,
    },
    /// The target's name is not valid.
    InvalidTarget {
        /// What a name allows.
        allowed: &'static str,
    },
    /// The target takes values of another kind.
    WrongValue {
        /// The target.
        target: Target,
        /// What it was to be.
        value: OverrideValue,
    },
    /// The target already carries as many overrides as it may.
    TooMany {
        /// The target.
        target: Target,
    },
    /// No such override is active: it has expired, was released, or never was.
    NotActive {
        /// What was asked for.
        id: OverrideId,
    },
    /// The override is the fleet's, and this replica alone cannot end it.
    OfFleet {
        /// What was asked for.
        id: OverrideId,
    },
}

impl fmt::Display for OverrideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidOrder { field, allowed } => {
                write!(f, "override: {field} is not valid; it takes {allowed}")
            }
            Self::InvalidTarget { allowed } => {
                write!(
                    f,
                    "override: the target's name is not valid; it takes {allowed}"
                )
            }
            Self::WrongValue { target, value } => write!(
                f,
                "override: {target} does not take the {} {value}, but those of its own kind: {}",
                value.kind(),
                target.values().join(", ")
            ),
            Self::TooMany { target } => write!(
                f,
                "override: {target} already carries {MAX_STACKED} overrides; release one of them before setting another"
            ),
            Self::OfFleet { id } => write!(
                f,
                "override {id} is the whole fleet's: release it with `Fleet::release`, or set one of this replica alone, \
                 which counts before it"
            ),
            Self::NotActive { id } => write!(
                f,
                "override {id} is not active: it has expired or was released already; list the active ones with \
                 `Registry::overrides`"
            ),
        }
    }
}

impl Error for OverrideError {}

/// A probe that cannot be attached as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeError {
    /// A setting is outside its range.
    Invalid {
        /// The dependency the probe was meant for.
        dependency: String,
        /// The field: `interval`, `timeout`, `fall` or `rise`.
        field: &'static str,
        /// What the field allows.
        allowed: &'static str,
    },
    /// The dependency already has as many probes as it may.
    TooMany {
        /// The dependency the probe was meant for.
        dependency: String,
        /// How many it has.
        limit: usize,
    },
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid {
                dependency,
                field,
                allowed,
            } => {
                write!(
                    f,
                    "probe of {dependency:?}: {field} is not valid; it takes {allowed}"
                )
            }
            Self::TooMany { dependency, limit } => write!(
                f,
                "probe of {dependency:?}: the dependency already has {limit} probes; combine checks into one closure"
            ),
        }
    }
}

impl Error for ProbeError {}
