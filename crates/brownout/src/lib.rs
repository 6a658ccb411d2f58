//! Tower middleware for graceful degradation: when something a service depends on fails, the service dims instead of
//! going dark.
//!
//! A slow recommender should not take the shop's checkout down with it. Each pattern here is a tower
//! [`Layer`](tower_layer::Layer) that goes onto any service, a server's or an outbound client's, and turns a hard
//! dependency into a soft one. Underneath lies one [`Registry`], which knows every dependency's criticality and status
//! and derives from them how degraded the system is.
//!
//! ```
//! use brownout::{Criticality, Registry, breaker::CircuitBreakerLayer};
//! use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let registry = Registry::new();
//! let recs = registry.dependency("recommendations").criticality(Criticality::Optional).register()?;
//!
//! let client = ServiceBuilder::new()
//!     .layer(CircuitBreakerLayer::new(&recs).for_results())
//!     .service(service_fn(|user: u32| async move { Ok::<_, BoxError>(vec![user + 1, user + 2]) }));
//!
//! assert_eq!(client.oneshot(40).await?, [41, 42]);
//! assert_eq!(registry.level(), brownout::registry::DegradationLevel::Full);
//! # Ok(()) }
//! ```
//!
//! # Patterns
//!
//! | module | what it does |
//! |---|---|
//! | [`breaker`] | stops calling a dependency that fails, and finds out by itself when it has recovered |
//! | [`fallback`] | named tiers that answer when a dependency cannot |
//! | [`flag`] | features that step back when they fail, when the system is degraded, or when people say so |
//! | [`aggregate`] | asks several services for parts of one answer, which comes even when some are missing |
//! | [`report`] | says how the process and its dependencies are, to orchestrators, dashboards and callers |
//! | `metrics` | what all of them count, for an exporter |
//! | [`registry`] | the health registry: dependencies, reports, probes, overrides, the degradation level, events |
//! | [`core`] | what the patterns are built from: verdicts, classifiers, refusals |
//! | `http`, `grpc` | what judging and refusing need on these protocols |
//!
//! # What all layers keep to
//!
//! * **State lives in a handle.** A layer attaches the same circuit however often it is applied, once for each route or
//!   connection as axum does; handles can be made first, and inspected and steered from anywhere.
//! * **Types stay yours.** No layer wraps the error in one of its own. A refusal is your error type (`From<Rejected>`),
//!   or an answer: a 503, a gRPC status.
//! * **Nothing is reserved before `call`**, nothing leaks when a future is dropped or panics, and a layer that will
//!   answer by itself is ready without asking its inner service.
//! * **When all is well it costs next to nothing**: no lock, no allocation, no boxed future, no task for a call.
//! * **Nothing latches.** What degradation switches off is never the only thing that could show recovery.
//! * Decisions use tokio's clock, so tests can pause it; random choices come from a generator that can be seeded.
//!
//! # When a stack does not compile
//!
//! `client.oneshot(request)` often says no more than that the stack is no `Service`. Ask with
//! `tower::ServiceExt::oneshot(client, request)`, which says what is missing.
//!
//! | what the compiler says | what is meant |
//! |---|---|
//! | `Unjudged: Clone` is not satisfied | the breaker or the [`ReportLayer`](report::ReportLayer) was not told how to judge: `.for_http()`, `.for_grpc()`, `.for_results()`, `.classify(…)` |
//! | a `FallbackBuilder` or `AggregateBuilder` is no `Layer` | it has no end: `.last(…)?` or `.build()?`; `.into_service()?` for an aggregate that the caller composes |
//! | `Same` cannot refuse a call … | the error type is not `From<Rejected>`: for HTTP and gRPC services take `.for_http()` and `.for_grpc()`, also on axum, whose error is `Infallible` |
//! | a future resolves to one type, and `Result<…>` of another is expected | a tier answers something else than the service below; [`last`](fallback::FallbackBuilder::last) answers without a `Result` |
//! | a service is no `FnOnce<(Parts,)>` where an aggregate is built | it takes something else than the request's head: `.asking(…)` says how to make that |
//! | no method `fall_through` | a flag falls through to its `.degraded(…)` service, which has to be named first |
//! | higher-ranked lifetime error; implementation of … is not general enough; one type is more general than the other; could not prove … `Send` | a handler or a spawned task awaits tower's `oneshot` over services whose types spell a `BoxError`: [`brownout::core::oneshot(service, request)`](fn@core::oneshot) is for that, also where they are `join!`ed; a chain and a flag have it as a method |
//! | `From<Box<dyn Error …>>` is not satisfied for `Infallible` | tower's `timeout` on an axum router; tower-http's `TimeoutLayer` answers instead of failing |
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `http` | yes | [`http`]: judging and refusing HTTP calls |
//! | `grpc` | | `grpc`: the same for gRPC, without tonic and without `protoc` |
//! | `axum` | | parts of an [`aggregate`] as arguments of handlers; needs axum-core only |
//! | `metrics` | | `metrics`: what all layers count, for any exporter of the `metrics` facade |
//! | `serde` | | an [`aggregate`]'s partial answer as JSON |
//! | `coarse-clock` | | [`CircuitBuilder::coarse_clock`](breaker::CircuitBuilder): a cheaper clock of 1 to 4 ms resolution |

pub mod aggregate;
pub mod breaker;
pub mod core;
pub mod fallback;
pub mod flag;
#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "metrics")]
pub mod metrics;
pub mod report;

pub use brownout_registry as registry;
pub use brownout_registry::{Criticality, Dependency, Registry};
