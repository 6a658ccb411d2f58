//! A health registry: it knows how much each dependency of a system matters and how it is, and derives from that how
//! far the system should step back.
//!
//! Breakers, probes, passive traffic, feature flags and people all report into one place. Each dependency's status, the
//! system's health and its degradation level follow from what they say, and cost one atomic load to read, so that
//! anything may read them on every request. The registry knows nothing of HTTP or tower; a batch job can use it.
//!
//! ```
//! use std::time::Duration;
//! use brownout_registry::{
//!     Criticality, DegradationLevel, Registry, Report, ReporterKind, Status, SystemHealth,
//! };
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new();
//! let payments = registry
//!     .dependency("payments")
//!     .criticality(Criticality::Critical)
//!     .affects(["/checkout"])
//!     .register()?;
//!
//! // Somebody who knows says how it is, and for how long that counts.
//! let reporter = payments.reporter(ReporterKind::Code, "ledger");
//! reporter.report(Report::unhealthy("cannot be reached").ttl(Duration::from_secs(30)));
//!
//! assert_eq!(payments.status(), Status::Unhealthy);
//! assert_eq!(registry.health(), SystemHealth::Critical);
//! assert_eq!(registry.level(), DegradationLevel::Emergency);
//!
//! // Nobody has to take it back: the report expires, and after the dwell the level falls.
//! tokio::time::advance(Duration::from_secs(30)).await;
//! assert_eq!(payments.status(), Status::Healthy);
//! assert_eq!(registry.level(), DegradationLevel::Emergency);
//! tokio::time::advance(Duration::from_secs(15)).await;
//! assert_eq!(registry.level(), DegradationLevel::Full);
//! # Ok(())
//! # }
//! ```
//!
//! # How things follow from one another
//!
//! ```text
//! reports, one slot a reporter ─┐
//! probes ───────────────────────┼─► status of a dependency ─► counts ─► raw level ─► dwell ─► level
//! override of the status ───────┘                               └────► health        override ─┘
//! ```
//!
//! - A **status** is the [override](Dependency::override_status) in force, else the worst fresh [`Report`]. With no
//!   report it is `Unknown` where a probe is attached and nothing but a circuit has ever reported, else `Healthy`.
//! - The **health** is `Critical` while a critical dependency is unhealthy, `Degraded` while any dependency is not
//!   healthy, else `Healthy`.
//! - The **raw level** is what a [`LevelPolicy`] makes of the counts of dependencies by criticality and status.
//! - The **level** is the highest raw level of the last *dwell*, or the [override](Registry::override_level) in force:
//!   it rises at once and falls after a dwell without relapse.
//!
//! # Defaults
//!
//! | what | default | why |
//! |---|---|---|
//! | criticality | `Important` | the system lives without it, but people notice |
//! | time to live of a report | none | a reporter that lives can change its mind; set one where it may fall silent |
//! | dwell | 15 s | a level that flaps is worse than one that lingers |
//! | level | [`StandardPolicy`] | a critical dependency gone is an emergency; important ones add up; optional ones do not count |
//! | overrides of one target | at most 8, at most 7 days each | decisions are forgotten; these end by themselves |
//! | events kept | 256 | enough to see how an incident began |
//! | probe | every 30 s ± 10 %, 5 s timeout, falls after 3, rises after 2 | see [`Probe`] |
//!
//! # Expiry needs no background task
//!
//! Whatever may expire (a report, an override, the dwell) has its deadline in the same atomic word as the value it
//! bounds. A reader that meets a pending deadline compares the clock, and derives anew if it has passed. What is derived
//! late is derived as it would have been on time: each expiry takes effect, and appears in the stream of [`Events`], at
//! its own deadline. A [`Driver`] only makes events, wake-ups and callbacks prompt, and runs the probes.
//!
//! # Nothing latches
//!
//! What degradation switches off must not be the only thing that could show recovery. A report of a circuit that is open
//! should have a time to live up to its next probe and [decay](Report::then) to `Degraded`, which drives no level. And
//! whatever switches traffic to a dependency must act on its [status without traffic](Dependency::status_without_traffic).
//!
//! # Events
//!
//! | event | when | log |
//! |---|---|---|
//! | `DependencyRegistered` | a name is new | DEBUG |
//! | `StatusChanged` | a dependency's status changed | WARN where worse, else INFO |
//! | `HealthChanged`, `LevelChanged` | the system's did | WARN where worse, else INFO |
//! | `OverrideSet`, `OverrideReleased`, `OverrideExpired` | each time | INFO |
//! | `ProbeFailed`, `ProbeRecovered` | a probe's verdict turned | WARN, INFO |
//! | `Circuit…`, `Fallback…`, `Flag…` | a layer [recorded](Registry::record) it | by the layer |
//!
//! # Many replicas
//!
//! A registry can [join a fleet](Registry::join_fleet): then people decide for all replicas at once, and flags count the
//! failures of all. What comes from the fleet lies beneath the registry's own overrides, in local memory, and nothing here
//! ever waits for it; see [`fleet`].
//!
//! # Threads, locks and user code
//!
//! Handles are `Send + Sync` and cheap to clone. One lock guards the state; it is never held while user code runs (level
//! policies, probes, callbacks), while anybody is woken, or while anything is logged, so all of them may call back into
//! the registry. A panic in user code is caught, and what it carried is dropped there too, outside the lock.

mod caught;
mod cell;
mod clock;
mod dependency;
mod driver;
mod entry;
mod error;
mod events;
pub mod fleet;
mod level;
mod meter;
mod overrides;
mod probe;
mod random;
mod registry;
mod report;
mod shared;
mod snapshot;
mod stack;
mod state;
mod tally;
mod text;
mod ticks;
mod vocab;
mod watch;

#[doc(hidden)]
pub use caught::{caught, logged};
pub use cell::{Overridable, Overridden, OverrideCell, Subscription};
pub use dependency::{Dependency, DependencyBuilder};
pub use driver::Driver;
pub use error::{ConfigError, InvalidName, OverrideError, ProbeError, RegisterError};
pub use events::{Event, EventKind, Events, Received};
pub use level::{Counts, LevelPolicy, StandardPolicy};
pub use meter::{Counted, Meter, Readings};
pub use overrides::{
    FleetOverrideId, Order, OverrideId, OverrideInfo, OverrideValue, Scope, Target,
};
pub use probe::Probe;
pub use random::Random;
pub use registry::{Registry, RegistryBuilder};
pub use report::{Report, Reporter, ReporterKind};
pub use snapshot::{DependencyView, Moment, ProbeView, ReportView, Snapshot};
#[doc(hidden)]
pub use ticks::Ticks;
pub use vocab::{
    CircuitMode, CircuitState, Criticality, DegradationLevel, FeatureState, FlagCause, Status,
    SystemHealth,
};
pub use watch::{View, Watch};
