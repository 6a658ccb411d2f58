//! Overrides: what a person (or a program in a person's name) has decided, for a while.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::DAY;
use crate::dependency::is_name;
use crate::error::{InvalidName, OverrideError};
use crate::snapshot::Moment;
use crate::text::is_text;
use crate::vocab::{CircuitMode, DegradationLevel, FeatureState, Status};

/// How many overrides one target can carry; the newest counts.
pub(crate) const MAX_STACKED: usize = 8;

/// Who decided, why, and for how long: what every override must say.
///
/// The order is validated when it is used. Actor and reason are trimmed and must then hold 1 to 256 bytes, something
/// visible among them, and nothing that breaks a line or steers a terminal or the direction of text; the time to live
/// must be more than zero and at most [`Order::MAX_TTL`]. There are no endless overrides: an override that is forgotten
/// ends by itself.
///
/// ```
/// use std::time::Duration;
/// use brownout_registry::{DegradationLevel, Order, Registry};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new();
/// let order = Order::new("ops@example.com", "rehearsing the sale", Duration::from_secs(600));
/// let id = registry.override_level(DegradationLevel::Reduced, order)?;
/// assert_eq!(registry.level(), DegradationLevel::Reduced);
/// registry.release(id)?;
/// assert_eq!(registry.level(), DegradationLevel::Full);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub(crate) actor: Arc<str>,
    pub(crate) reason: Arc<str>,
    pub(crate) ttl: Duration,
}

impl Order {
    /// The longest time an override can last: seven days.
    pub const MAX_TTL: Duration = DAY.saturating_mul(7);

    /// The most bytes an actor or a reason can have.
    pub const MAX_TEXT: usize = 256;

    /// An order by `actor`, for `reason`, that ends after `ttl`.
    pub fn new(actor: impl Into<Arc<str>>, reason: impl Into<Arc<str>>, ttl: Duration) -> Self {
        Self {
            actor: actor.into(),
            reason: reason.into(),
            ttl,
        }
    }

    pub(crate) fn validated(mut self) -> Result<Self, OverrideError> {
        self.actor = text("actor", self.actor)?;
        self.reason = text("reason", self.reason)?;
        if self.ttl.is_zero() || self.ttl > Self::MAX_TTL {
            return Err(OverrideError::InvalidOrder {
                field: "ttl",
                allowed: "more than zero and at most 7 days",
            });
        }
        Ok(self)
    }
}

fn text(field: &'static str, text: Arc<str>) -> Result<Arc<str>, OverrideError> {
    let trimmed = text.trim();
    if !is_text(trimmed, Order::MAX_TEXT) {
        return Err(OverrideError::InvalidOrder {
            field,
            allowed: "1 to 256 bytes, not all invisible, without control characters",
        });
    }
    if trimmed.len() == text.len() {
        Ok(text)
    } else {
        Ok(trimmed.into())
    }
}

/// Names one override of one registry, to release it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OverrideId(pub(crate) u64);

impl OverrideId {
    /// The id with this number, as an API received it.
    pub const fn from_u64(id: u64) -> Self {
        Self(id)
    }

    /// The number, as an API hands it out.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for OverrideId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one override of a [fleet](crate::fleet) among those of its target, on every replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FleetOverrideId(pub(crate) u64);

impl FleetOverrideId {
    /// The id with this number, as an API received it.
    pub const fn from_u64(id: u64) -> Self {
        Self(id)
    }

    /// The number, as an API hands it out.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FleetOverrideId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an override applies to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Target {
    /// The status of the dependency with this name.
    Status(Arc<str>),
    /// The mode of all circuits of the dependency with this name.
    Circuit(Arc<str>),
    /// The state of the flag with this name.
    Flag(Arc<str>),
    /// The degradation level.
    Level,
}

impl Target {
    /// The kind of target, as metrics label it: `status`, `circuit`, `flag` or `level`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Circuit(_) => "circuit",
            Self::Flag(_) => "flag",
            Self::Level => "level",
        }
    }

    /// The name of the dependency or flag; none for the level.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Status(name) | Self::Circuit(name) | Self::Flag(name) => Some(name),
            Self::Level => None,
        }
    }

    /// The names of all that can be imposed on it.
    pub(crate) fn values(&self) -> Vec<&'static str> {
        fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
            all.iter().map(|value| name(*value)).collect()
        }
        match self {
            Self::Status(_) => names(Status::ALL, Status::as_str),
            Self::Circuit(_) => names(CircuitMode::ALL, CircuitMode::as_str),
            Self::Flag(_) => names(FeatureState::ALL, FeatureState::as_str),
            Self::Level => names(DegradationLevel::ALL, DegradationLevel::as_str),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{}:{name}", self.kind()),
            None => f.write_str(self.kind()),
        }
    }
}

/// The inverse of its `Display`: `status:<name>`, `circuit:<name>`, `flag:<name>` or `level`.
impl FromStr for Target {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let named = |(kind, name): (&str, &str)| match kind {
            _ if !is_name(name) => None,
            "status" => Some(Self::Status(name.into())),
            "circuit" => Some(Self::Circuit(name.into())),
            "flag" => Some(Self::Flag(name.into())),
            _ => None,
        };
        if text == "level" {
            return Ok(Self::Level);
        }
        text.split_once(':').and_then(named).ok_or_else(|| {
            let allowed = "`level`, or `status`, `circuit` or `flag`, then `:` and a name";
            InvalidName::new("target", text, allowed)
        })
    }
}

/// What an override imposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OverrideValue {
    /// On a dependency.
    Status(Status),
    /// On a dependency's circuits.
    Circuit(CircuitMode),
    /// On a flag.
    Flag(FeatureState),
    /// On the system.
    Level(DegradationLevel),
}

impl OverrideValue {
    /// The value of that [name](Self::as_str) among those that can be imposed on the target.
    pub fn named(target: &Target, name: &str) -> Option<Self> {
        match target {
            Target::Status(_) => Status::from_name(name).map(Self::Status),
            Target::Circuit(_) => CircuitMode::from_name(name).map(Self::Circuit),
            Target::Flag(_) => FeatureState::from_name(name).map(Self::Flag),
            Target::Level => DegradationLevel::from_name(name).map(Self::Level),
        }
    }

    /// Whether it can be imposed on the target.
    pub(crate) const fn fits(self, target: &Target) -> bool {
        matches!(
            (self, target),
            (Self::Status(_), Target::Status(_))
                | (Self::Circuit(_), Target::Circuit(_))
                | (Self::Flag(_), Target::Flag(_))
                | (Self::Level(_), Target::Level)
        )
    }

    /// The value's own name, such as `unhealthy` or `forced-open`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status(value) => value.as_str(),
            Self::Circuit(value) => value.as_str(),
            Self::Flag(value) => value.as_str(),
            Self::Level(value) => value.as_str(),
        }
    }

    /// What it is, whatever it is meant for.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Circuit(_) => "circuit's mode",
            Self::Flag(_) => "flag's state",
            Self::Level(_) => "level",
        }
    }

    pub(crate) const fn code(self) -> u64 {
        match self {
            Self::Status(value) => value.code(),
            Self::Circuit(value) => value.code(),
            Self::Flag(value) => value.code(),
            Self::Level(value) => value.code(),
        }
    }
}

impl fmt::Display for OverrideValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where an override has been set, and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// In this registry.
    Replica,
    /// In all of the [fleet](crate::fleet), where this is its name. It counts where the replica has no override of its
    /// own.
    Fleet(FleetOverrideId),
}

impl Scope {
    /// The name used in logs and formats.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Fleet(_) => "fleet",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One active override.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OverrideInfo {
    /// Its id, to release it by.
    pub id: OverrideId,
    /// What it applies to.
    pub target: Target,
    /// What it imposes.
    pub value: OverrideValue,
    /// Who set it.
    pub actor: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// When it was set.
    pub set_at: Moment,
    /// When it ends by itself.
    pub until: Moment,
    /// Whether it is this replica's own, or the fleet's.
    pub scope: Scope,
    /// Whether it counts: it is the newest of its target, the replica's own before the fleet's.
    pub effective: bool,
}
