//! The words of the registry: how much a dependency matters, how it is, and what follows from it.

use std::fmt;

/// Gives each variant of a fieldless enum its name and a small code that fits a packed word.
macro_rules! words {
    ($kind:ident { $($variant:ident = $name:literal),+ $(,)? }) => {
        impl $kind {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name used in logs, metrics and formats: lower case, words joined by `-`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The value with this name, if there is one; the inverse of [`as_str`](Self::as_str).
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name)
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

/// Lets a value travel in the low bits of an atomic word.
macro_rules! codes {
    ($kind:ident: $first:ident $(, $code:literal => $variant:ident)*) => {
        impl $kind {
            #[inline]
            pub(crate) const fn code(self) -> u64 {
                self as u64
            }

            #[inline]
            pub(crate) const fn from_code(code: u64) -> Self {
                match code & 0b11 { $($code => Self::$variant,)* _ => Self::$first }
            }
        }
    };
}

/// How much the system needs a dependency; the more critical is the greater.
///
/// The default is [`Important`](Self::Important): the system lives without it, but people notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Criticality {
    /// Nobody misses it for a while: recommendations, avatars.
    Optional,
    /// The system works without it, visibly reduced.
    #[default]
    Important,
    /// Without it the system cannot do what it is for.
    Critical,
}

/// How a dependency is; the worse is the greater, so the worst of several is their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It works.
    Healthy,
    /// Nobody has looked yet.
    Unknown,
    /// It works in part, slowly, or has not been tested since it failed.
    Degraded,
    /// It does not work.
    Unhealthy,
}

/// How the whole system is, derived from all its dependencies; the worse is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SystemHealth {
    /// Every dependency is healthy.
    Healthy,
    /// Some dependency is not healthy, but no critical one is unhealthy.
    Degraded,
    /// A critical dependency is unhealthy.
    Critical,
}

/// How far the system has stepped back; the further is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DegradationLevel {
    /// Everything is on.
    Full,
    /// Something people notice is missing.
    Reduced,
    /// Only what matters most still runs.
    Minimal,
    /// A critical dependency is gone; the system keeps itself alive.
    Emergency,
}

/// What a circuit does with calls at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Calls pass and are judged.
    Closed,
    /// Calls are rejected at once.
    Open,
    /// A few calls pass, to find out whether the dependency is back.
    HalfOpen,
}

/// What an operator can impose on the circuits of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CircuitMode {
    /// Reject every call.
    ForcedOpen,
    /// Admit every call; outcomes are still counted.
    ForcedClosed,
    /// Admit every call and only say when the circuit would have opened.
    ObserveOnly,
}

/// What a feature does at the moment; the worse is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeatureState {
    /// The feature runs in full.
    Enabled,
    /// The feature runs in its simpler form.
    Degraded,
    /// The feature is off.
    Disabled,
}

/// Why a feature's state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FlagCause {
    /// Too many of its calls failed.
    Errors,
    /// The time is over for which errors had degraded it.
    Expiry,
    /// Too many calls failed on all replicas of the fleet together.
    Fleet,
    /// Somebody imposed a state, or that is over.
    Override,
    /// The degradation level rose or fell.
    Level,
    /// It was configured otherwise.
    Configured,
}

words!(Criticality { Optional = "optional", Important = "important", Critical = "critical" });
words!(Status { Healthy = "healthy", Unknown = "unknown", Degraded = "degraded", Unhealthy = "unhealthy" });
words!(SystemHealth { Healthy = "healthy", Degraded = "degraded", Critical = "critical" });
words!(DegradationLevel { Full = "full", Reduced = "reduced", Minimal = "minimal", Emergency = "emergency" });
words!(CircuitState { Closed = "closed", Open = "open", HalfOpen = "half-open" });
words!(CircuitMode { ForcedOpen = "forced-open", ForcedClosed = "forced-closed", ObserveOnly = "observe-only" });
words!(FeatureState { Enabled = "enabled", Degraded = "degraded", Disabled = "disabled" });
words!(FlagCause { Errors = "errors", Expiry = "expiry", Fleet = "fleet", Override = "override", Level = "level", Configured = "configured" });

codes!(Status: Healthy, 1 => Unknown, 2 => Degraded, 3 => Unhealthy);
codes!(SystemHealth: Healthy, 1 => Degraded, 2 => Critical);
codes!(DegradationLevel: Full, 1 => Reduced, 2 => Minimal, 3 => Emergency);
codes!(CircuitMode: ForcedOpen, 1 => ForcedClosed, 2 => ObserveOnly);
codes!(FeatureState: Enabled, 1 => Degraded, 2 => Disabled);
