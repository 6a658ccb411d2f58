//! What replicas tell the store of themselves: outcomes of calls, and how they are.

use std::sync::Arc;
use std::time::Duration;

use crate::vocab::{DegradationLevel, FeatureState, Status, SystemHealth};

use super::error::StoreError;
use super::values::{ReplicaId, StoreTime};

/// When outcomes of a flag's calls are too bad for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How many calls must have failed, at least 1.
    pub errors: u32,
    /// Within which time.
    pub window: Duration,
    /// And how many billionths of all calls in it.
    pub min_ratio_ppb: u32,
    /// For how long the flag is then degraded.
    pub ttl: Duration,
}

/// Outcomes of a flag's calls that the fleet does not know yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The flag's name.
    pub flag: Arc<str>,
    /// How many have succeeded.
    pub successes: u64,
    /// How many have failed.
    pub failures: u64,
    /// What is too many.
    pub rule: Rule,
}

/// How many replicas must have had failures of a flag's calls before the fleet degrades it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// So many, at least 1.
    pub replicas: u32,
    /// Or all that live, where those are fewer: in an epoch that is at least so old, and in which nobody has fallen silent
    /// for as long. Before that not all of those who live may have told the store, or told it again after its clock was
    /// set, so those who have are not counted.
    pub fewer_after: Duration,
}

/// How one replica is, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Whose it is.
    pub replica: ReplicaId,
    /// Its level.
    pub level: DegradationLevel,
    /// Its health.
    pub health: SystemHealth,
    /// How many dependencies it has.
    pub dependencies: u32,
    /// The worst of those that are not healthy, at most [`NAMED`](super::limits::NAMED).
    pub sick: Vec<Sick>,
    /// Flags that are not enabled, at most [`NAMED`](super::limits::NAMED).
    pub flags: Vec<(Arc<str>, FeatureState)>,
}

/// A dependency that is not healthy, as one replica sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sick {
    /// The dependency's name.
    pub dependency: Arc<str>,
    /// How it is.
    pub status: Status,
}

/// What is known of the replicas at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replicas {
    /// When that was.
    pub now: StoreTime,
    /// How many live.
    pub live: u32,
    /// What they say, and until when that counts.
    pub summaries: Vec<(Summary, StoreTime)>,
    /// What could not be read of it, if anything.
    pub damage: Option<StoreError>,
}
