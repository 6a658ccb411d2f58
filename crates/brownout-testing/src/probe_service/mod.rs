//! A service that checks tower's contract, and a handle that steers and observes it.
//!
//! Put a [`ProbeService`] below the layer under test and keep its [`ProbeHandle`]. The probe is strict: it panics when
//!
//! - `call` comes without a `poll_ready` that returned `Ready(Ok)` on that same instance since its last `call`
//!   (a clone copies no readiness), or
//! - one of its futures is polled after it completed or panicked.
//!
//! A panic may be lost in a task that nobody joins, so each breach is also kept: see [`ProbeHandle::violations`].
//!
//! # What can be steered
//!
//! | to test | say |
//! |---|---|
//! | a dependency that is not ready, and becomes so | [`ProbeHandle::make_pending`], [`ProbeHandle::make_ready`] |
//! | a dead connection | [`ProbeHandle::fail_readiness`] |
//! | one answer | [`ProbeHandle::next`] |
//! | all answers from now on | [`ProbeHandle::always`] |
//! | a slow, hanging or panicking call | [`Behaviour::after`], [`Behaviour::hang`], [`Behaviour::panic_in_poll`] |
//! | calls in flight at the same time | [`Behaviour::hold`], [`ProbeHandle::release`] |
//!
//! # What is counted
//!
//! [`ProbeHandle::counts`] gives [`Counts`]: calls, completions, futures dropped before completion, instances, what is in
//! flight and what is reserved. [`ProbeHandle::wait_for`] waits until the counts are as a test wants them.
//!
//! # Bounds nobody may demand
//!
//! [`NotSend`], [`NotSync`], [`NotClone`] and [`Borrowing`] wrap any service (or body) and take a capability away, so that
//! a layer that asks for it without need no longer compiles.
//!
//! # Examples
//!
//! A concurrency limit lets one call through at a time:
//!
//! ```
//! use brownout_testing::{Behaviour, ProbeService, TestError};
//! use tower::{Service, ServiceExt, limit::ConcurrencyLimit};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), TestError> {
//! let (service, probe) = ProbeService::new(|request: u32| Ok::<_, TestError>(request));
//! probe.always(Behaviour::hold(Ok));
//!
//! let mut limited = ConcurrencyLimit::new(service, 1);
//! let first = limited.ready().await?.call(1);
//! assert_eq!(probe.counts().in_flight, 1);
//!
//! drop(first);
//! assert_eq!(probe.counts().dropped, 1);
//! assert!(probe.counts().is_idle());
//! # Ok(())
//! # }
//! ```

mod behaviour;
mod counts;
mod future;
mod handle;
mod service;
mod state;
mod variants;
mod violation;

pub use self::behaviour::{Behaviour, Readiness};
pub use self::counts::Counts;
pub use self::future::ProbeFuture;
pub use self::handle::ProbeHandle;
pub use self::service::ProbeService;
pub use self::variants::{Borrowing, Marked, NotClone, NotSend, NotSync};
pub use self::violation::{Standing, Violation};
