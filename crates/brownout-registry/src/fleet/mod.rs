//! Many replicas of one service: what they share, and how they agree on it.
//!
//! One process needs nothing but its registry. A fleet shares four things through a [`FleetStore`]: people's overrides,
//! what automation has made of flags, counts of how flags' calls end, and a summary of each replica's health. Circuits
//! stay local: a replica that cannot reach a dependency must not open everyone's circuit.
//!
//! **No call ever waits for the store.** What calls read is local memory, to which changes are pushed. A store that is
//! away leaves what was last known, ageing by its own times to live, a `warn` in the health report, and not one call that
//! fails or takes longer. No layer can tell whether its registry is in a fleet.
//!
//! # By default
//!
//! ```
//! use brownout_registry::Registry;
//! use brownout_registry::fleet::{FleetSettings, MemoryStore, ReplicaId};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new();
//! // Redis, in production.
//! let store = MemoryStore::new();
//! // Another at each replica: two of one name count as one, and nobody notices. Shells do not export HOSTNAME.
//! let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "laptop".to_owned());
//! let name = ReplicaId::new(format!("{host}-{}", std::process::id()))?;
//! let in_fleet = registry.join_fleet(store, FleetSettings::new(name))?;
//! // … until this is dropped.
//! # drop(in_fleet);
//! # Ok(()) }
//! ```
//!
//! # Customised
//!
//! ```
//! use std::time::Duration;
//! use brownout_registry::Registry;
//! use brownout_registry::fleet::{FleetSettings, MemoryStore, ReplicaId};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new();
//! let settings = FleetSettings::new(ReplicaId::new("shop-7d4f")?)
//!     .timeout(Duration::from_millis(500))
//!     .quorum(3)
//!     .opinions(true);
//! let in_fleet = registry.join_fleet(MemoryStore::new(), settings)?;
//!
//! let view = in_fleet.fleet().view();
//! println!("{} replicas, in touch: {}, {:?} ago", view.live, view.in_touch, view.sync_age);
//! # Ok(()) }
//! ```
//!
//! # Who decides
//!
//! ```text
//! the newest override of this replica ──────────► counts
//!   else the newest override of the fleet ──────► counts
//!     else a flag: the worst of what is configured, what its own errors, the errors of the fleet
//!                  and the level made of it
//! ```
//!
//! People always win: what automation decides is a value of its own, beneath all overrides, and never writes one.
//!
//! - **Overrides.** [`Fleet::set`] and [`Fleet::release`] decide for all. A target's overrides are one stack, written whole
//!   if nobody else has written it meanwhile; else the decision is [refused](FleetError::Stale), because whoever decided
//!   had not seen what is in force. They end by themselves, at the same time everywhere.
//! - **Flags.** Each replica adds up how its flags' calls end and sends that about once a second. The store sums it, and
//!   when it is too much by the flag's own rule, and enough replicas have had failures, it degrades the flag everywhere
//!   for the flag's time to live. What a replica's own errors make of its flag needs no store, and acts at once. A batch
//!   that could not be sent in time is dropped: nothing is counted twice. Enough are two, or [as many](FleetSettings::quorum)
//!   as are set; or all who live, as one in a fleet of one, once it is known who lives: about a minute after the store was
//!   found, or lost its data, or a replica fell silent.
//! - **Health.** Each replica's summary is there for all to [look at](Fleet::view), and ages out when the replica
//!   vanishes. It is a view and no status: one that is ill puts nobody else into an emergency. Where it is
//!   [asked for](FleetSettings::opinions), what most of the others cannot use counts as `Degraded` here.
//!
//! # When the store is away
//!
//! | what | becomes of it |
//! |---|---|
//! | what the fleet has decided | stays in force until its own end |
//! | new decisions | [fail](FleetError::Store) in time; overrides of one replica work as ever |
//! | counts | are dropped; each replica goes by its own errors |
//! | the dependency `fleet-store` | is `Degraded`, which is a `warn` in the health report, with the reason and the age of what is known; it is optional and moves no level |
//! | a store that answers but tells nothing of changes | is away as well: a message to itself tells each replica so within 7 s |
//! | the store | is tried again after 1 s, then twice as long each time up to 15 s, ± 50 % |
//!
//! When it is back, the replica takes a [`Picture`], and holds what all hold. A store that comes back empty, or older than
//! it was, is another [epoch](Version) or an earlier revision. It has lost what people have decided, and gets it back
//! from whoever comes first and still has it, unless people have decided anew; what automation had decided is dropped.
//! Of a target that an older store still knows, its older stack counts: what was added to it since is gone, and what was
//! released since is in force again until its end.
//!
//! Starting while the store is away works, with the same `warn`.
//!
//! # Defaults
//!
//! [`FleetSettings`] has the table of what can be set. The rest:
//!
//! | what | value | why |
//! |---|---|---|
//! | a picture because something is missing | within 2 s, at random | all replicas miss the same at the same moment |
//! | decisions in one write | 64 targets | a hundred at once are a few messages |
//! | decisions that wait | 1024 | people do not make more |
//! | overrides of one target | 8, beneath 8 of the replica's own | as without a fleet |
//! | values | [`limits`] | whatever a store says, memory is bounded |
//!
//! # Events, logs and metrics
//!
//! Overrides of the fleet are the same events on every replica as its own. A flag that the fleet degrades changes with
//! the cause [`Fleet`](crate::FlagCause::Fleet).
//!
//! | log | when |
//! |---|---|
//! | INFO "fleet store is there", "fleet store is back", "fleet left" | once each time |
//! | INFO "fleet store had lost overrides, which it has again" | by whoever has written any of them again |
//! | WARN "fleet store not reached; …" | once for each reason, until it is there |
//! | WARN "fleet store lost; …" | once for each reason, until it is back |
//! | WARN "fleet store holds what cannot be read; …" | once for each reason, until the store was lost or nothing was wrong for 10 minutes |
//! | WARN "fleet store refuses a part of its work; …" | the same |
//! | WARN "another process takes part in the fleet under this replica's name; …" | once, and again after 10 minutes without |
//!
//! [`Readings`](crate::Readings) have the age of what is known and the errors by operation.
//!
//! # Cost
//!
//! Reading an override, a flag or a level costs what it does without a fleet. Four background tasks talk to the store:
//! one message to it a second for counts, if there are any; a ping every 5 s; a summary every 10 s; a picture every 30 s.
//!
//! # The store
//!
//! A store keeps values with an end, numbers every write, and tells subscribers of it. [`FleetStore`] says what it must
//! promise; [`MemoryStore`] does so in one process, for tests and for several registries in one program.
//!
//! | value | written | read | ends |
//! |---|---|---|---|
//! | the overrides of a target, one [`Stack`] | whole, by compare-and-set on its [`Stamp`] | pushed | with the last order in it |
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
mod held;
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
mod twins;
mod values;
mod view;

pub use self::counted::{Count, Quorum, Replicas, Rule, Sick, Summary};
pub use self::error::{FleetError, StoreError, StoreErrorKind};
pub use self::handle::{Fleet, FleetGuard};
pub(crate) use self::link::Link;
pub use self::memory::{MemoryChanges, MemoryStore, Saved};
pub use self::op::StoreOp;
pub use self::pushed::{
    Change, Message, Outcome, Picture, Stack, StackEntry, StackWrite, Stamp, Trip,
};
pub use self::settings::{FleetSettings, JoinError};
pub use self::store::{Changes, FleetStore};
pub use self::values::{ReplicaId, StoreTime, Version, limits};
pub use self::view::{FleetView, ReplicaView};
