//! The fleet as one replica sees it: data to look at, on which nothing here acts.

use std::time::Duration;

use tokio::time::Instant;

use super::counted::Summary;
use super::error::StoreErrorKind;
use super::values::{ReplicaId, Version};

/// What this replica knows of its fleet, from memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FleetView {
    /// Who this replica is.
    pub replica: ReplicaId,
    /// Whether it is in touch with the store.
    pub in_touch: bool,
    /// What is wrong with the store, in words fit for strangers; none where nothing is known to be.
    pub trouble: Option<StoreErrorKind>,
    /// How long ago it last knew that it holds what the store does; since it joined, where it never has.
    pub sync_age: Duration,
    /// The state of the store that it holds; none before it has reached the store.
    pub version: Option<Version>,
    /// How many replicas lived when it last asked.
    pub live: u32,
    /// What they said, sorted by name, without those that have fallen silent since. Of a large fleet only some.
    pub replicas: Vec<ReplicaView>,
}

/// What one replica has said of itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReplicaView {
    /// What it said.
    pub summary: Summary,
    /// Until when that counts.
    pub until: Instant,
}

/// What was last heard of all replicas.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) live: u32,
    pub(super) replicas: Vec<ReplicaView>,
}

impl Seen {
    /// Those that have not fallen silent.
    pub(super) fn present(&self, now: Instant) -> Vec<ReplicaView> {
        let present = |view: &&ReplicaView| view.until > now;
        self.replicas.iter().filter(present).cloned().collect()
    }
}
