//! Feature flags that step back by themselves: a feature that fails, or that the system cannot afford at the moment,
//! gives way to a simpler form of itself.
//!
//! Recommendations by a model, a map instead of an address, a live price: what is nice to have should not go on hurting
//! those who ask for it, nor cost what the system needs for better things. A flag counts how the calls of its feature
//! end. When too many fail it *degrades* for a while, and calls go to a simpler service, or are refused. It also steps
//! back with the system's [degradation level](crate::registry::DegradationLevel), and at an operator's word.
//!
//! A [circuit breaker](crate::breaker) guards a *dependency*, opens within seconds and probes its way back; a flag is
//! about a *feature*, whatever that is made of, and steps back for minutes. They go together: the flag outside, the
//! breaker inside.
//!
//! # By default
//!
//! ```
//! use brownout::{Registry, flag::{FlagLayer, Flags}, registry::FeatureState};
//! use tower::{BoxError, ServiceBuilder, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let flags = Flags::new(&Registry::new());
//! let flag = flags.flag("ml_recommendations")?;
//!
//! let recommendations = ServiceBuilder::new()
//!     .layer(
//!         FlagLayer::for_results(flag.clone())
//!             .degraded(service_fn(|_user: u32| async { Ok::<_, BoxError>("bestsellers") })),
//!     )
//!     .service(service_fn(|_user: u32| async { Err::<&str, _>(BoxError::from("no model")) }));
//!
//! for user in 0..5 {
//!     assert!(recommendations.clone().oneshot(user).await.is_err());
//! }
//! assert_eq!(flag.state(), FeatureState::Degraded);
//! assert_eq!(recommendations.oneshot(5).await?, "bestsellers");
//! # Ok(()) }
//! ```
//!
//! # Customised
//!
//! ```
//! use std::time::Duration;
//! use brownout::{Registry, flag::Flags, registry::{DegradationLevel, FeatureState, Order}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::new();
//! let exchange = registry.dependency("exchange").public_name("prices").register()?;
//! let flag = Flags::new(&registry)
//!     .builder("live_prices")
//!     .dependency(&exchange)
//!     .errors(20)
//!     .min_ratio(0.1)
//!     .ttl(Duration::from_secs(60))
//!     .degrade_at(DegradationLevel::Reduced)
//!     .disable_at(DegradationLevel::Emergency)
//!     .build()?;
//!
//! // An operator's word counts before everything else, until it expires.
//! let order = Order::new("kim@example.com", "price feed is being moved", Duration::from_secs(900));
//! registry.override_flag("live_prices", FeatureState::Disabled, order)?;
//! assert_eq!(flag.state(), FeatureState::Disabled);
//! # Ok(()) }
//! ```
//!
//! # On a server, or in front of a client
//!
//! [`for_http`](FlagLayer::for_http) and [`for_grpc`](FlagLayer::for_grpc) judge by status, and refuse by answers: a 503
//! with `Retry-After`, `UNAVAILABLE`. Whoever stands in is a service with the same answers and errors as the full one.
#![cfg_attr(feature = "http", doc = "```")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! use brownout::{Registry, flag::{FlagLayer, Flags}, registry::FeatureState};
//! use http::{Request, Response};
//! use tower::{BoxError, ServiceBuilder, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! # let picked = service_fn(|_: Request<String>| async { Ok::<_, BoxError>(Response::new("picked for you".to_owned())) });
//! # let simple = service_fn(|_: Request<String>| async { Ok::<_, BoxError>(Response::new("bestsellers".to_owned())) });
//! let flag = Flags::new(&Registry::new()).flag("ml_recommendations")?;
//! let page = ServiceBuilder::new()
//!     .layer(FlagLayer::for_http(flag.clone()).degraded(simple).fall_through())
//!     .service(picked);
//!
//! flag.configure(FeatureState::Disabled); // and nothing stands in for that
//! let answer = page.oneshot(Request::new(String::new())).await?;
//! assert_eq!(answer.status(), 503);
//! # Ok(()) }
//! // On axum: get(picked).route_layer(FlagLayer::for_http(flag).degraded(get(simple)).fall_through())
//! ```
//!
//! Code that is no tower service asks the flag itself: [`Flag::state`] reads it, [`Flag::admit`] gives a [`Ticket`] for
//! one call of the full feature.
//!
//! # Who decides
//!
//! ```text
//! an operator's order that has not expired ──────────────────────────────► that state
//!   else  what is configured         ─┐
//!         what errors made of it     ─┼─ the worst of these ──────────────► Enabled, Degraded or Disabled
//!         what the level asks for    ─┘
//!
//!   an order: this replica's own, else its fleet's.    errors: the flag's own, and those of its fleet
//! ```
//!
//! Automation only makes things worse, and people always win: errors never overrule an order, and an order to enable a
//! feature lets every call through. Beneath an order automation goes on, and counts again when the order is over.
//!
//! # By errors
//!
//! ```text
//!   ┌───────┐    a failure: 5 in 60 s, and 5 % of all    ┌──────────┐
//!   │ Clear │ ─────────────────────────────────────────► │ Degraded │ 300 s; doubled by each trip
//!   └───────┘ ◄─────────── ┌──────┐ ◄─────────────────── └──────────┘ that follows on another
//!            30 s are over │ Ramp │  its time is over         ▲
//!                          └──────┘ ──────────────────────────┘ they fail again
//! ```
//!
//! Only a failure degrades a flag: nothing else is judged. It may be the fifth of five calls, or of a hundred; of more,
//! five are not yet a twentieth. When the time is over the state is `Enabled` again, but for a while only a growing
//! share of calls reaches the service, from a tenth to all. A whole [window](FlagBuilder::window) without a trip after
//! that is a healthy spell: the next trip is the first again.
//!
//! Outcomes belong to the spell in which their call was let in. What comes after the flag has degraded, or has come
//! back, is counted in the totals and moves nothing.
//!
//! # By the errors of a fleet
//!
//! In a registry that has joined a [fleet](crate::registry::fleet), the outcomes of all replicas are added up by the same
//! rule: so many errors in the window, so great a share of all calls, on more than one replica. When that is too much the
//! flag degrades on all of them. That is a trip like its own: it ends by itself, comes back by the ramp, and makes the
//! next one longer; of its own and the fleet's the later end counts. Its own errors act at once, and need no fleet.
//!
//! # By level
//!
//! A flag with [`degrade_at`](FlagBuilder::degrade_at) or [`disable_at`](FlagBuilder::disable_at) steps back while the
//! system's level is that bad, and returns with it. It cannot latch: the level follows from what probes, people and
//! other traffic report, and the word of an open circuit drives it only until that circuit is due for a probe. Errors
//! and level are apart: a level that recovers does not forget the errors.
//!
//! Name the [dependency](FlagBuilder::dependency) that the feature calls. What its own circuits and observed calls say then never moves the
//! flag by way of the level: they need the feature's traffic to find out about recovery. Nor do a circuit's refusals
//! count, which say nothing about the feature ([`for_results`](FlagLayer::for_results) must be told to know them).
//!
//! # Defaults
//!
//! | setting | default | why |
//! |---|---|---|
//! | [`errors`](FlagBuilder::errors) | 5 | one may be chance |
//! | [`window`](FlagBuilder::window) | 60 s, twelve sub-buckets | features with little traffic should be noticed too |
//! | [`min_ratio`](FlagBuilder::min_ratio) | 5 % | by number alone, a service of 1,000 calls a second is switched off by 0.01 % of failures |
//! | [`ttl`](FlagBuilder::ttl) | 300 s, doubled up to [1 h](FlagBuilder::ttl_at_most) | what needs a person or a deployment to mend takes minutes; flapping features confuse those who use them |
//! | [`jitter`](FlagBuilder::jitter) | ± 20 % | replicas must not come back in step |
//! | [`ramp`](FlagBuilder::ramp) | 30 s, from a tenth | what was left alone for minutes comes back cold |
//! | [`degrade_at`](FlagBuilder::degrade_at), [`disable_at`](FlagBuilder::disable_at) | off | which features are worth giving up, only the user knows |
//! | [`configured`](FlagBuilder::configured) | `Enabled` | a flag of which nothing is known must not switch anything off |
//!
//! # Services, readiness and cancellation
//!
//! | state | calls go to |
//! |---|---|
//! | `Enabled` | the service; its failures are counted, and returned, or [go on](#falling-through) to the degraded service |
//! | `Degraded` | the [degraded](FlagLayer::degraded) service, else they are refused: `flag-degraded` |
//! | `Disabled` | the [disabled](FlagLayer::disabled) service, else they are refused: `flag-disabled` |
//!
//! While the flag has stepped back, the service is ready at once, without polling its inner service; that call does not
//! reach the inner service, whatever changes before it is made. Whoever stands in is asked for readiness within the
//! call, and how it fares counts for nothing. A readiness error of the inner service is a failure and is passed on; a
//! flag that falls through is ready then, and its call goes on.
//! While the flag comes back by a ramp, the inner service is asked for readiness for every call, and the ramp decides when
//! the call is made. The flag reserves nothing before that. What the inner service has reserved when it was made ready, a
//! limit's permit say, it keeps until it is called or dropped: also where the flag steps back before the call. A service
//! that waits for an inner one that is not ready is woken when the flag steps back.
//!
//! Dropping the response future, or the body that carries its ticket, abandons the call, which counts for nothing: a
//! timeout belongs *inside* the flag, where it is a failure. A panic in the inner service is a failure.
//!
//! Answers of whoever stands in are [marked](crate::core::Marks), in HTTP and gRPC responses' extensions. A flag without
//! a [public name](FlagBuilder::public_name), of its own or of its dependency, is not in the `Degraded` header.
//!
//! # Falling through
//!
//! By default a flag that is enabled returns what its service fails: so many callers see an error before it degrades.
//! With [`fall_through`](FlagLayer::fall_through) each failed call goes on to the degraded service, and the caller gets
//! that answer, marked with the reason (`failed`, `timed-out`, `circuit-open`) as a fallback's would be.
//!
//! ```
//! use brownout::{Registry, flag::{FlagLayer, Flags}, registry::FeatureState};
//! use tower::{BoxError, ServiceBuilder, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let flag = Flags::new(&Registry::new()).flag("ml_recommendations")?;
//! let recommendations = ServiceBuilder::new()
//!     .layer(
//!         FlagLayer::for_results(flag.clone())
//!             .degraded(service_fn(|_user: u32| async { Ok::<_, BoxError>("bestsellers") }))
//!             .fall_through()
//!             .safe(),
//!     )
//!     .service(service_fn(|_user: u32| async { Err::<&str, _>(BoxError::from("no model")) }));
//!
//! assert_eq!(recommendations.oneshot(7).await?, "bestsellers");
//! assert_eq!(flag.state(), FeatureState::Enabled);
//! assert_eq!(flag.stats().totals.failures, 1);
//! # Ok(()) }
//! ```
//!
//! | what happens | it goes on |
//! |---|---|
//! | a failure that is counted: an error, an answer that fails | yes; a failed answer is dropped with its body |
//! | a refusal by a layer further in, as an error or an answer, even if it counts for nothing | yes |
//! | its readiness fails | yes, in the call; the service itself is ready then |
//! | what is neutral or a success | no |
//! | a body, or trailers, that fail | no: the caller has the answer already |
//! | a panic | no: it goes on to the caller |
//!
//! Writes do not happen twice. A request that may be a write goes on only where the cause
//! [proves](crate::core::Cause::proves_not_sent) that it was not sent: its readiness failed, no connection could be made,
//! or a guard refused it; of a flag that names its [dependency](FlagBuilder::dependency), a guard of that one. Who may
//! not go on gets the failure as it is, and the log says so at DEBUG.
//!
//! | layer | what is no write | what `.idempotent()` permits | what is made again |
//! |---|---|---|---|
//! | `for_results` | nothing, until `.safe()` says that everything is | everything: all requests carry a key | all requests: they must be `Clone` |
//! | `for_http` | GET, HEAD, OPTIONS, TRACE | requests with an `Idempotency-Key` header | those without a body; others below a `ReplayLayer`, or with `.cloning()` |
//! | `for_grpc` | nothing, until `.safe()` | calls with `idempotency-key` metadata | the same |
//!
//! How the degraded service fares counts for nothing, and goes to the caller. Only of a write that the service may have
//! made, nothing goes up that layers above would take for proof that nobody made it: an answer loses its `Rejected`, and
//! in place of an error the caller gets the service's own failure, which is kept for that.
//!
//! # Events and logs
//!
//! | event | log | when |
//! |---|---|---|
//! | `FlagChanged` | WARN "flag changed" where worse, else INFO | once for each change of the effective state, with its [cause](crate::registry::FlagCause) |
//! | | DEBUG "degraded service not asked" | each failed call that may not go on, of a flag that falls through |
//! | | DEBUG `feature_flag.evaluation` | once for each call that is decided, if anybody listens; OpenTelemetry's fields |
//!
//! A call that somebody else answers records `degraded` on the current tracing span, where that has such a field: the
//! state in which the flag is.
//!
//! Nothing runs in the background. What ends by itself is noticed by whoever looks next: the state that they read is
//! right, and the event comes then. Orders and levels are noticed with the registry, promptly where a
//! [`Driver`](crate::registry::Driver) runs.
//!
//! # Cost
//!
//! Reading a flag is one load; with a level gate one more. A success adds to a cache line of the thread's own and reads
//! no clock: it can only lower the share of failures, so the next failure dates it, or every 64th success of a thread.
//! In between, successes count as if they had come evenly. A failure takes a short lock; while the flag is degraded
//! nothing does. No call through an enabled flag allocates; one that may fall
//! through costs a clone of the request and of the degraded service.

mod automatic;
mod builder;
mod cell;
mod counts;
mod engine;
pub mod fall;
mod falling;
mod flags;
pub mod future;
mod handle;
mod layer;
#[cfg(all(test, brownout_loom))]
mod loom;
mod meter;
mod outside;
mod parts;
mod service;
mod settings;
mod shared;
mod standby;
mod through;
mod ticket;
mod voice;
mod waiting;
mod window;
mod word;

pub use self::{
    builder::FlagBuilder,
    counts::Totals,
    flags::Flags,
    handle::{Flag, Stats},
    layer::FlagLayer,
    service::Flagged,
    standby::{Instead, Nobody, Standby},
    ticket::Ticket,
};
