//! A stack of the fleet as one replica holds it, with times in its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::pushed::{StackEntry, Stamp};
use super::values::{StoreTime, Version};
use crate::overrides::{FleetOverrideId, Order, OverrideValue, Target};
use crate::text::bounded;

/// A stack, with ends in our own time.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    /// None where the store has lost it: then it is to be offered again.
    pub(super) stamp: Option<Stamp>,
    pub(super) entries: Vec<HeldEntry>,
    /// When the store forgets it.
    pub(super) until: Option<Instant>,
    /// When we were told of it.
    pub(super) taken: Option<Instant>,
    /// When a write of our own was acknowledged as this.
    pub(super) acknowledged: Option<Instant>,
}

/// One override of the fleet, with times in our own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HeldEntry {
    pub(super) id: FleetOverrideId,
    pub(super) value: OverrideValue,
    pub(super) actor: Arc<str>,
    pub(super) reason: Arc<str>,
    pub(super) set_at: Instant,
    pub(super) until: Instant,
}

/// What is acknowledged may not be in a picture that was under way at the time; what the store says then is older. After
/// so long it is not: the store has gone back.
pub(super) const GRACE: Duration = Duration::from_secs(5);

impl Held {
    pub(super) fn version(&self) -> Option<Version> {
        self.stamp.map(|stamp| stamp.version)
    }

    /// When the last of its entries ends.
    pub(super) fn ends(&self) -> Option<Instant> {
        self.entries.iter().map(|entry| entry.until).max()
    }

    /// The same, as the store has it now.
    pub(super) fn written(&self, stamp: Stamp, until: Instant) -> Self {
        Self {
            stamp: Some(stamp),
            until: Some(until),
            ..self.clone()
        }
    }

    /// Until when the store has to keep it: as long as anything in it lasts, or has lasted in what it replaces.
    pub(super) fn keep_until(&self) -> Option<Instant> {
        self.until.max(self.ends())
    }

    /// Whether it was acknowledged to us so recently that the store did not know of it when it said that.
    pub(super) fn is_newer(&self, said: Version, now: Instant) -> bool {
        let fresh = self.acknowledged.is_some_and(|then| now < then + GRACE);
        let newer = |version: Version| version.epoch == said.epoch && version > said;
        fresh && self.version().is_some_and(newer)
    }
}

impl HeldEntry {
    /// Takes an entry as it came from outside, whatever it holds.
    pub(super) fn from(
        entry: StackEntry,
        target: &Target,
        present: StoreTime,
        now: Instant,
    ) -> Option<Self> {
        let left = entry.until.since(present).min(Order::MAX_TTL);
        let age = present.since(entry.set_at);
        (entry.value.fits(target) && !left.is_zero()).then(|| Self {
            id: entry.id,
            value: entry.value,
            actor: bounded(entry.actor, Order::MAX_TEXT),
            reason: bounded(entry.reason, Order::MAX_TEXT),
            set_at: now.checked_sub(age).unwrap_or(now),
            until: now + left,
        })
    }
}
