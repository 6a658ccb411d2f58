//! What a store pushes to every replica: overrides and trips.

use std::sync::Arc;
use std::time::Duration;

use crate::overrides::{FleetOverrideId, OverrideValue, Target};

use super::error::StoreError;
use super::values::{StoreTime, Version};

/// The overrides that the fleet has on one target, the newest last.
///
/// One without entries says that somebody has released them: it lasts as long as the longest of what it has replaced
/// would have, so that nobody who was away brings those back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// What they apply to.
    pub target: Target,
    /// What it is told from all others by.
    pub stamp: Stamp,
    /// At most [`ENTRIES`](super::limits::ENTRIES).
    pub entries: Vec<StackEntry>,
    /// When the store forgets it.
    pub until: StoreTime,
}

/// Which stack of a target it is.
///
/// A version alone would not say. A store that has gone back within its epoch, because it was restored, or because a
/// server took over that had not been told of everything, gives revisions a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The state in which it was written.
    pub version: Version,
    /// What its writer has made up for it, at random.
    pub tag: u64,
}

/// One override of a [`Stack`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackEntry {
    /// Names it within its stack.
    pub id: FleetOverrideId,
    /// What is imposed, of the target's kind.
    pub value: OverrideValue,
    /// Who decided, at most [`Order::MAX_TEXT`](crate::Order::MAX_TEXT) bytes.
    pub actor: Arc<str>,
    /// Why, of the same length.
    pub reason: Arc<str>,
    /// When it was set.
    pub set_at: StoreTime,
    /// When it ends by itself.
    pub until: StoreTime,
}

/// A stack to be written in place of the present one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackWrite {
    /// Whose.
    pub target: Target,
    /// The present one, which must be this exactly; none: there must be none.
    pub expected: Option<Stamp>,
    /// The new one's tag.
    pub tag: u64,
    /// What it shall hold, at most [`ENTRIES`](super::limits::ENTRIES).
    pub entries: Vec<StackEntry>,
    /// For how long the store keeps it.
    pub keep: Duration,
}

/// What came of a [`StackWrite`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is written; this is its version.
    Written(Version),
    /// The present one is not what was expected, and stays.
    Stale,
}

/// The fleet's automation has degraded a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trip {
    /// The flag's name.
    pub flag: Arc<str>,
    /// When that ends by itself.
    pub until: StoreTime,
}

/// All values that are pushed, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Picture {
    /// The state they are of.
    pub version: Version,
    /// When that was.
    pub now: StoreTime,
    /// In any order; those without entries too.
    pub stacks: Vec<Stack>,
    /// In any order.
    pub trips: Vec<Trip>,
    /// What could not be read of it, if anything: the rest counts all the same.
    pub damage: Option<StoreError>,
}

/// A value, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The overrides of a target.
    Stack(Stack),
    /// A flag's trip.
    Trip(Trip),
}

/// What a subscriber is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// What one write has changed.
    Changed {
        /// The state after it.
        version: Version,
        /// When it was.
        now: StoreTime,
        /// The values, whole.
        changes: Vec<Change>,
    },
    /// A [`ping`](super::FleetStore::ping) of the subscriber's own replica.
    Canary(u64),
    /// Messages are missing here, or one cannot be understood, for this reason.
    Missed(Option<StoreError>),
}
