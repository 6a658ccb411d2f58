//! Many replicas of one service: what they share, and how they agree on it.
//!
//! One process needs nothing but its registry. A fleet shares four things through a [`FleetStore`]: people's overrides,
//! what automation has made of flags, counted outcomes, and a summary of each replica's health. Circuits stay local: a
//! replica that cannot reach a dependency must not open everyone's circuit.
//!
//! **No call ever waits for the store.** What calls read is local memory, to which changes are pushed. A store that is
//! away leaves what was last known, ageing by its own times to live, a `warn` in the health report, and not one call that
//! fails or takes longer.
//!
//! # The store
//!
//! A store keeps values with an end, numbers every write, and tells subscribers of it. [`FleetStore`] says what it must
//! promise; [`MemoryStore`] does so in one process, for tests and for several registries in one program.
//!
//! | value | written | read | ends |
//! |---|---|---|---|
//! | the overrides of a target, one [`Stack`] | whole, by compare-and-set on its [`Version`] | pushed | with the last order in it |
//! | a flag's [`Trip`] | by the store itself, as it adds up [`Count`]s | pushed | after the flag's time to live |
//! | counts of outcomes | deltas, about once a second | by the store alone | with the flag's window |
//! | a [`Summary`] of a replica | every few seconds | now and then, a sample | when it is not renewed |
//!
//! An **epoch** is one life of the store's data: a store that was flushed or replaced has another. Within an epoch each
//! write has the next **revision**. So a replica knows whether it has missed anything, and asks for a [`Picture`] where it
//! has.
//!
//! Times in the store are the store's own ([`StoreTime`]). A replica takes the distance to the store's present and adds
//! it to its own clock, so clocks that disagree do no harm.

mod contact;
mod counted;
mod desk;
mod error;
mod handle;
mod link;
mod memory;
mod mirror;
mod op;
mod orders;
mod pulse;
mod pushed;
mod race;
mod settings;
mod store;
mod sync;
mod tally;
mod tasks;
mod values;
mod view;

pub use self::counted::{Count, Replicas, Rule, Sick, Summary};
pub use self::error::{FleetError, StoreError, StoreErrorKind};
pub use self::handle::{Fleet, FleetGuard};
pub(crate) use self::link::Link;
pub use self::memory::{MemoryChanges, MemoryStore, Saved};
pub use self::op::StoreOp;
pub use self::pushed::{Change, Message, Outcome, Picture, Stack, StackEntry, StackWrite, Trip};
pub use self::settings::{FleetSettings, JoinError};
pub use self::store::{Changes, FleetStore};
pub use self::values::{ReplicaId, StoreTime, Version, limits};
pub use self::view::{FleetView, ReplicaView};
