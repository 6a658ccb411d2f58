//! Tools for testing tower services, layers and HTTP middleware.
//!
//! A middleware is judged by what it does to the service *below* it. This crate is that service below: strict where
//! tower's contract is strict, steerable where a test needs an outage, and observant of everything that is done to it.
//!
//! | module | what for |
//! |---|---|
//! | [`probe_service`] | a strict service, steered and observed by a [`ProbeHandle`] |
//! | [`script`] | a service that answers from a list: `[ok(1), err(e), after(d, ok(2)), hang()]` |
//! | [`body`] | HTTP bodies made of data, trailers, errors, pauses; a watch tells how they were read and dropped |
//! | [`log`] | the tracing events of the current thread, as records to assert on |
//! | [`fleet`] | a fleet's store that fails on purpose; what every store must promise, checked in one call |
//! | [`contract`] | the laws every layer must keep, checked in one call |
//! | [`polling`] | dropping a future at each of its await points; proving that it does not poll busily |
//!
//! Nothing here is global: each probe, script, watch and capture is a value of its own, so tests run in parallel.
//!
//! # Examples
//!
//! ```
//! use brownout_testing::{Behaviour, ProbeService, TestError};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (service, probe) = ProbeService::new(|request: u32| Ok::<_, TestError>(request + 1));
//! assert_eq!(service.clone().oneshot(1).await, Ok(2));
//!
//! probe.next(Behaviour::answer(|_| Err(TestError::new("down"))));
//! assert_eq!(service.clone().oneshot(1).await, Err(TestError::new("down")));
//! assert_eq!(service.oneshot(1).await, Ok(2));
//!
//! assert_eq!(probe.counts().calls, 3);
//! assert_eq!(probe.counts().in_flight, 0);
//! # }
//! ```
#![allow(
    clippy::panic,
    reason = "a test tool reports by panicking, with a sentence that names what was broken"
)]

pub mod body;
pub mod contract;
pub mod fleet;
pub mod log;
pub mod polling;
pub mod probe_service;
pub mod script;

mod error;
mod sync;

pub use self::body::{BodyWatch, MockBody};
pub use self::contract::{Contract, check_layer_contract};
pub use self::error::{BoxError, TestError};
pub use self::log::{LogCapture, LogRecord};
pub use self::polling::{assert_no_busy_polling, drop_at_each_await};
pub use self::probe_service::{Behaviour, NotClone, NotSend, NotSync, ProbeHandle, ProbeService};
pub use self::script::Script;
