//! Saying how things are: the health paths of a process, and what is missing from its answers.
//!
//! # Health over HTTP
//!
//! [`HealthLayer`] answers four paths in front of any HTTP service, from memory: it runs no check and waits for nobody.
//!
//! | path | the question | 200 | 503 |
//! |---|---|---|---|
//! | `/livez` | does the process run? | always | never |
//! | `/readyz` | should it get requests? | it serves, and what it was told to [need](HealthLayer::ready_when) is not unhealthy | else |
//! | `/startupz` | has it started? | it [said so](Lifecycle::started), and somebody has observed what it needs | else |
//! | `/health` | how is the whole system? | it is healthy (`pass`) or degraded (`warn`) | a critical dependency is unhealthy (`fail`) |
//!
//! Liveness is for whoever restarts processes. It cannot be given a dependency: a database that is down would restart the
//! whole fleet, again and again, and cure nothing. Readiness is for load balancers, and includes no dependency unless
//! it is named. **Never point a load balancer or an orchestrator at `/health`**: it is for people and dashboards, and a
//! shared dependency that fails would take out of service every replica at once, fallbacks and all.
//!
//! # Degraded answers
//!
//! [`DegradedLayer`] says beside each degraded answer what is missing from it, in a list of RFC 9651:
//!
//! ```text
//! Degraded: recommendations;tier=cache;reason=circuit-open;age=42
//! ```
//!
//! Fallbacks, flags and aggregates [mark](crate::core::Degraded) what they answer in somebody's place, and handlers can
//! with [`note`]. The layer collects the marks of a request from its whole call tree: layers of the server, and clients
//! that the handler calls, however deep. It finds them because they are polled while it is; what runs in a task of its
//! own has to be told whose it is, by [`carry`].
//!
//! | what | where it appears |
//! |---|---|
//! | a mark before the head has left | in the header, or a gRPC answer's metadata |
//! | a mark that comes while the body is made | in the trailers of a gRPC answer; in others nowhere |
//! | an answer by a layer outside of this one, or on a route that was added to the router after it | nowhere |
//! | a dependency, or a flag, without a public name | nowhere, but the answer is `no-store` all the same |
//! | more than 16 marks, or 1 KiB | as many as fit |
//! | two marks of which one says all that the other says, and more | the one that says more |
//! | a `Degraded` header in a request | nowhere: it is taken out |
//! | one in an upstream's answer | nowhere, unless its client was [told to trust it](AdoptDegradedLayer) |
//!
//! A degraded answer is `Cache-Control: no-store` unless the handler said otherwise: a cache would serve it long after
//! all is well. All marks, those without a public name too, are in the answer's [extensions](crate::core::Marks) for
//! layers further out, such as logs.
//!
//! # Passive reports
//!
//! [`ReportLayer`] says how a dependency is by how the calls to it end, for services without a breaker: the share that
//! fails and, where asked for, the share that is slow, within a sliding window. It reports as
//! [`Traffic`](crate::registry::ReporterKind::Traffic), and refuses nothing.
//!
//! | what the window holds | report |
//! |---|---|
//! | from [half](TrafficBuilder::unhealthy_at) failures on | `Unhealthy`; `Degraded` once no call has come for the length of the window |
//! | from a [tenth](TrafficBuilder::degraded_at) of failures on, or as many [slow calls](TrafficBuilder::slow_calls) as were named | `Degraded`, for the length of the window |
//! | less, or only successes | `Healthy` |
//! | fewer than [20 calls](TrafficBuilder::min_calls), some of which failed | what was said before, until it expires |
//!
//! The window is looked at when a call fails, and at other calls once in a tenth of its length: good news come that much
//! later. Without calls nothing is said, and what was said before expires.
//!
//! Calls are judged as by a breaker: at the head of the answer or at the end of its body, refusals of layers further in
//! and 4xx are neutral. What was dropped counts for nothing, so a timeout belongs *inside* the layer, where it is a failure.
//! Latency runs to the head.
//!
//! For checks that do not wait for traffic, [`probe`] makes any service a probe of the registry. Probes run while a
//! [`Driver`](crate::registry::Driver) is kept. Where nobody [drives](crate::registry::Registry::drive), a dependency with a
//! probe stays `Unknown`: `/health` warns, and `/readyz` is 503 if it was told to need it.
//!
//! # By default
//!
//! ```
//! # use brownout::{Registry, report::{DegradedLayer, HealthLayer}};
//! # use http::{Request, Response};
//! # use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let registry = Registry::new();
//!
//! let service = ServiceBuilder::new()
//!     .layer(HealthLayer::new(&registry))
//!     .layer(DegradedLayer::new())
//!     .service(service_fn(|_: Request<String>| async { Ok::<_, BoxError>(Response::new("hello".to_owned())) }));
//!
//! let request = Request::get("/health").body(String::new())?;
//! let answer = service.oneshot(request).await?;
//! assert_eq!(answer.status(), 200);
//! assert_eq!(answer.headers()["content-type"], "application/health+json");
//! # Ok(()) }
//! ```
//!
//! On axum both go onto the finished router, `Router::layer`, and so onto every route, those that do not exist among them.
//! Of several calls of `layer` the last is outermost: `router.layer(DegradedLayer::new()).layer(HealthLayer::new(&registry))`.
//! The health paths need no routes.
//!
//! # Customised
//!
//! A process that says itself when it has started and when it is about to end, and shows details to those it knows:
//!
//! ```
//! use brownout::{Registry, report::{Endpoint, HealthLayer, Lifecycle}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let registry = Registry::new();
//! let process = Lifecycle::new();
//! let sidecar = registry.dependency("sidecar").register()?;
//!
//! let layer = HealthLayer::new(&registry)
//!     .process(&process)
//!     .ready_when(&sidecar)
//!     .path(Endpoint::Live, "/internal/livez")?
//!     .authorise(|request| request.headers.contains_key("x-from-operations-network"))
//!     .service_id("shop")
//!     .release_id("1.4.2");
//! # let _ = layer;
//! process.started();
//! # Ok(()) }
//! ```
//!
//! # Who is told what
//!
//! Strangers are told one word: `{"status":"pass"}`, `warn` or `fail`, as `application/health+json`
//! (draft-inadarei-api-health-check-06). Those whom the [authoriser](HealthLayer::authorise) knows get at `/health` the
//! system's level and each dependency's checks, and with `?verbose` at each path one line for each check, as Kubernetes
//! writes them, without a reason. Private details of reports are shown to nobody.
//!
//! | line | at `/health`, and the word in its document | at `/readyz` |
//! |---|---|---|
//! | `[+]search ok` | healthy (`pass`) | healthy |
//! | `[+]search degraded` | degraded (`warn`) | degraded |
//! | `[+]search unknown` | unknown (`warn`) | unknown now, and observed before |
//! | `[-]search failed: reason withheld` | unhealthy (`fail`) | unhealthy, or never observed |
//!
//! At `/startupz` a dependency is `ok` once somebody has observed it, however it is. A line with `[+]` fails no answer,
//! whatever its word; one with `[-]` fails `/health` only where the dependency is critical.
//!
//! All answers say `Cache-Control: no-store`. HEAD works; other methods get a 405.
//!
//! | setting | default | why |
//! |---|---|---|
//! | [`ready_when`](HealthLayer::ready_when) | nothing | one shared dependency must not take out all replicas |
//! | [`process`](HealthLayer::process) | has started and goes on | a process that never says so would never get requests |
//! | [`authorise`](HealthLayer::authorise) | nobody | names of dependencies are of use to attackers |
//! | [`path`](HealthLayer::path) | as above | what Kubernetes and dashboards expect |
//!
//! # Readiness and cost
//!
//! The health layer is ready even while its inner service is not, so that an overloaded process is not restarted for being busy:
//! put it outside of limits. Other requests then wait within their call, so load is shed below this layer. That needs a
//! service that is `Clone`, though none is cloned while the service is ready. A request that is passed on costs a look
//! at its path, seldom at more than the first letter, and no allocation. `/health` with details takes a
//! [snapshot](crate::registry::Registry::snapshot); the other paths read atomics.
//!
//! A call through a reporting layer reads the clock twice and adds to two or three atomics; it takes no lock, unless what
//! it says of the dependency changes, or has to be said again every tenth of the window while it is bad. Collecting marks
//! takes some nanoseconds each time a request is polled, and an allocation only once there is a mark (or a
//! [carried](carry) task, which may make one).
//!
//! The layers make no events and no log lines: what it reports of is [logged](crate::registry#events) where it changes.

#[cfg(feature = "http")]
mod degraded;
#[cfg(feature = "http")]
mod health;
mod lifecycle;
pub mod probe;
mod traffic;

#[cfg(feature = "http")]
pub use self::{
    degraded::{
        AdoptDegraded, AdoptDegradedLayer, Carry, DegradedBody, DegradedLayer, DegradedMarks,
        carry, note,
    },
    health::{Endpoint, Health, HealthLayer},
};
pub use self::{
    lifecycle::{Lifecycle, Phase},
    traffic::{
        ReportLayer, Reported, Traffic, TrafficBuilder, TrafficStats, TrafficTicket, Unjudged,
    },
};

/// The futures of this module's services.
pub mod future {
    pub use super::traffic::future::ReportFuture;
    #[cfg(feature = "http")]
    pub use super::{
        degraded::future::{AdoptFuture, DegradedFuture},
        health::future::HealthFuture,
    };
}
