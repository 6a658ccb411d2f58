//! gRPC health (`grpc.health.v1`) for tonic servers, over brownout's health registry.
//!
//! [`HealthService`] answers `Check`, `Watch` and `List` from memory. It runs no check and no task.
//!
//! ```no_run
//! use brownout::{Registry, report::Lifecycle};
//! use brownout_tonic::HealthService;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new();
//! let ledger = registry.dependency("ledger").register()?;
//! let process = Lifecycle::new();
//!
//! let health = HealthService::new(&registry, &process)
//!     .service("shop.Orders", [])?
//!     .service("shop.Payments", [&ledger])?;
//! # let _ = health;
//! // tonic::transport::Server::builder().add_service(health).add_service(…)
//!
//! // When migrations are done and caches warm:
//! process.started();
//! // A while before the server is shut down:
//! process.stop();
//! # Ok(()) }
//! ```
//!
//! # Who is asked for, and what is answered
//!
//! | name | `SERVING` while | `NOT_SERVING` while |
//! |---|---|---|
//! | `""` | the system is healthy or degraded | a critical dependency is unhealthy |
//! | `readiness` | what it was told to [need](HealthService::ready_when) is not unhealthy | else |
//! | a service's | what that service [needs](HealthService::service) is not unhealthy | else |
//! | `liveness` | the process runs | it is about to end |
//!
//! All but `liveness` are `NOT_SERVING` until the process [has started](Lifecycle::started) and while it is paused; all
//! of them, for good, once it [stops](Lifecycle::stop). A service is `UNKNOWN` while nobody has observed what it needs.
//!
//! `""` says what `/health` says, and is for people and dashboards. **Point load balancers and orchestrators at
//! `readiness`, at a service, or at `liveness`**: a critical dependency that all replicas share takes all of them out of
//! service at once where `""` decides. What readiness and services need counts as probes, code and overrides see it,
//! without circuits and observed traffic
//! ([`status_without_traffic`](brownout::Dependency::status_without_traffic)): a server without requests could not learn
//! by them that the dependency is back.
//!
//! `Check` answers `NOT_FOUND` for any other name. `Watch` answers `SERVICE_UNKNOWN` and stays open, as the protocol
//! asks; to known names it sends what is so, and after that changes alone. `List` gives all of them, and
//! `RESOURCE_EXHAUSTED` where there are more than a hundred, as other implementations do.
//!
//! [`check`] is the other side: a probe that asks another server's health.
//!
//! A `Watch` has no end of its own. Give a graceful shutdown a limit of time, for it waits for open streams.
//!
//! | setting | default | why |
//! |---|---|---|
//! | [`ready_when`](HealthService::ready_when) | nothing | one shared dependency must not take out all replicas |
//! | [`service`](HealthService::service) | none | which there are, only the server knows |

mod check;
mod messages;
mod rpc;
mod service;
mod serving;
mod watching;

#[cfg(doc)]
use brownout::report::Lifecycle;

pub use self::{
    check::{NotServing, check},
    service::HealthService,
    serving::NameTaken,
};
