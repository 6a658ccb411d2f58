//! The small words of what goes to the store and comes back: plain values, bounded in size, in no particular format.
//!
//! Whoever implements a store writes them in whatever way it likes. For that the
//! vocabulary has names (`as_str`, `from_name`), and so have [`Target`](crate::Target) (`Display` and `FromStr`) and
//! [`OverrideValue`](crate::OverrideValue) (`as_str`, `named`).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::dependency::{is_name, name_rule};
use crate::error::InvalidName;

/// How much of anything a store has to hold at most. Whoever reads more than that from a store ignores it.
pub mod limits {
    /// Targets with overrides, and flags with a trip.
    pub const VALUES: usize = 10_000;
    /// Overrides in one stack.
    pub const ENTRIES: usize = crate::overrides::MAX_STACKED;
    /// Stacks in one call of [`write`](super::super::FleetStore::write).
    pub const WRITES: usize = 64;
    /// Flags in one call of [`count`](super::super::FleetStore::count).
    pub const COUNTS: usize = 256;
    /// Summaries in one answer of [`replicas`](super::super::FleetStore::replicas).
    pub const SUMMARIES: usize = 256;
    /// Dependencies, and flags, that are named in one summary.
    pub const NAMED: usize = 16;
}

/// Names a replica among those of its fleet: 1 to 128 visible ASCII characters other than `:`. Two that go by one name
/// count as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(Arc<str>);

/// A moment on the store's own clock: milliseconds since whenever it pleases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StoreTime(pub u64);

/// The state of a store's values, or the one in which a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version {
    /// Which life of the data. At most 2⁵³, which every store can count to.
    pub epoch: u64,
    /// How many writes there have been in it. At most 2⁵³ as well.
    pub revision: u64,
}

impl ReplicaId {
    /// The replica of this name, such as that of its host or pod.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, InvalidName> {
        let name = name.into();
        if is_name(&name) {
            Ok(Self(name))
        } else {
            Err(InvalidName::new("replica", &name, name_rule()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl StoreTime {
    /// How long it is from `now` until then; zero where it has passed.
    pub const fn since(self, now: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(now.0))
    }

    /// The moment so long before this, or the first of all.
    pub fn before(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// The moment so long after this, rounded up to the millisecond.
    pub fn after(self, duration: Duration) -> Self {
        let millis = duration.as_nanos().div_ceil(1_000_000);
        Self(
            self.0
                .saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)),
        )
    }
}
