//! Fallback chain: named tiers that answer when a dependency cannot.
//!
//! A breaker turns a dependency that is down into a quick refusal; a chain turns the refusal into an answer. The service
//! below it is the *primary*. When it fails, the tiers behind it are asked one after another, until one answers: another
//! service, a copy, a simpler computation, a constant.
//!
//! # Breaker with fallback, in five lines
//!
//! ```
//! # use std::convert::Infallible;
//! # use brownout::{Registry, breaker::CircuitBreakerLayer, fallback::FallbackLayer};
//! # use tower::{BoxError, ServiceBuilder, service_fn};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! # let registry = Registry::new();
//! # let recs = registry.dependency("recommendations").register()?;
//! # let recommender = service_fn(|user: u32| async move { Err::<Vec<u32>, _>(BoxError::from(format!("{user}?"))) });
//! let client = ServiceBuilder::new()
//!     .layer(FallbackLayer::for_results().safe().covering(&recs).last("popular", |_| async { vec![1, 2, 3] })?)
//!     .layer(CircuitBreakerLayer::new(&recs).for_results())
//!     .service(recommender);
//! let Ok::<_, Infallible>(answer) = client.oneshot(7).await;
//! # assert_eq!(answer, [1, 2, 3]);
//! # Ok(()) }
//! ```
//!
//! The last tier always answers, so the error type is `Infallible`: the compiler knows that nothing is left to handle.
//! On HTTP, where tiers may have bodies of any type, `popular` answers with a string:
#![cfg_attr(feature = "http", doc = "```")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! # use std::convert::Infallible;
//! # use brownout::{Registry, breaker::CircuitBreakerLayer, fallback::FallbackLayer};
//! # use http::{Request, Response};
//! # use tower::{BoxError, ServiceBuilder, service_fn};
//! # #[derive(Default)] struct Body;
//! # impl http_body::Body for Body {
//! #     type Data = bytes::Bytes; type Error = Infallible;
//! #     fn poll_frame(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>)
//! #     -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> { std::task::Poll::Ready(None) }
//! #     fn is_end_stream(&self) -> bool { true }
//! # }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! # let registry = Registry::new();
//! # let recs = registry.dependency("recommendations").public_name("recommendations").register()?;
//! # let http_client = service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>(BoxError::from("reset")) });
//! let client = ServiceBuilder::new()
//!     .layer(FallbackLayer::for_http().covering(&recs).last("popular", |_| async { Response::new("[1]".to_owned()) })?)
//!     .layer(CircuitBreakerLayer::new(&recs).for_http())
//!     .service(http_client);
//! let Ok::<_, Infallible>(answer) = client.oneshot(Request::get("/").body(Body)?).await;
//! # assert_eq!(answer.extensions().get::<brownout::core::Marks>().unwrap().iter().next().unwrap().to_string(),
//! #     "recommendations;tier=popular;reason=failed");
//! # Ok(()) }
//! ```
//!
//! and on gRPC the same with `for_grpc()` twice, where `.safe()` names the calls safe that only read.
//!
//! Tiers of HTTP and gRPC chains may have bodies of any type, each of its own: the chain's body is one of them, and an
//! error of one is boxed. Tiers of plain services answer with the primary's own type.
//!
//! Handlers and spawned tasks may await a chain over any error, a `BoxError` too, by its [`oneshot`](Fallback::oneshot).
//! Where another layer is around the chain, tower's `oneshot` may be a "higher-ranked lifetime error" there:
//! [this one](fn@crate::core::oneshot) is none.
//!
//! # Tiers
//!
//! [`tier`](FallbackBuilder::tier) takes a service, which may have layers of its own; [`tier_fn`](FallbackBuilder::tier_fn)
//! a closure that may fail; [`last`](FallbackBuilder::last) one that cannot, and ends the chain. Without `last` a chain
//! ends with [`build`](FallbackBuilder::build), and its error is the last tier's own, which has the primary's type.
//!
//! A closure is given a [`Failed`]: the request, the [`Cause`] and the names of those that have failed. One that looks
//! into the request says of what type that is:
//!
//! ```
//! use std::time::Duration;
//! use brownout::fallback::{Failed, FallbackLayer, Tier};
//! # use tower::{BoxError, Layer, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), BoxError> {
//! # let cache = service_fn(|_: u32| std::future::pending::<Result<String, BoxError>>());
//! # let api = service_fn(|_: u32| async { Err::<String, BoxError>("down".into()) });
//! let layer = FallbackLayer::for_results()
//!     .safe()
//!     .within(Duration::from_secs(3))
//!     .tier(Tier::new("cache", cache).timeout(Duration::from_millis(500)))
//!     .last("minimal", |f: Failed<u32>| async move { format!("user {}, after {}", f.request, f.cause().kind()) })?;
//! # let Ok(answer) = layer.layer(api).oneshot(7).await;
//! # assert_eq!(answer, "user 7, after timed-out");
//! # Ok(()) }
//! ```
//!
//! A chain clones its tiers for each call, since the call owns them: let a tier be cheap to clone. They are asked for
//! readiness only when it is their turn, on a clone of their own, so that a tier which is slow to become ready holds up
//! nobody else.
//!
//! The tiers of a chain that covers a dependency can be seen and steered while it runs, by its
//! [`chain`](FallbackLayer::chain) handle: how each does, even while the primary is well, and a switch for each. A tier
//! that [stands for](FallbackBuilder::tier_stands_for) a dependency of its own reports there, and is passed over while a
//! probe or a person says that it is unhealthy.
//!
//! # Known to work
//!
//! A fallback that is needed once a year may have been broken for most of it. With
//! [`exercise`](FallbackBuilder::exercise) a small share of calls goes to the first tier while all is well: only safe
//! requests, while the covered dependency is healthy and the level is `Full`. Where the tier fails, the primary answers,
//! and only the tier's health shows it. Those answers are marked with the reason `exercise`, and are nobody's alert.
//!
//! # When it descends
//!
//! | what happens | it descends |
//! |---|---|
//! | the primary's or a tier's error | yes, unless the classifier calls the primary's error neutral or a success and the chain can fail |
//! | its readiness fails | yes, in the call; the service itself is ready then |
//! | a probe or a person says that it is unhealthy | yes, with [`skip_when_unhealthy`](FallbackBuilder::skip_when_unhealthy); it is not even polled then |
//! | an answer that the classifier calls a failure | yes; the answer is dropped with its body |
//! | an answer that is neutral (a 404, a 429) | no |
//! | a refusal by an inner layer of ours, as an error or as an answer | yes |
//! | its timeout, or the chain's deadline | yes; a tier that can no longer begin is skipped |
//! | a panic | no: it goes on to the caller, unless the tier was only exercised |
//!
//! A tier that is switched off or unhealthy counts as absent.
//!
//! A panic is not caught, because what it left behind may be broken, and a chain cannot know. Where a panic must become
//! an answer, a layer that catches it (tower-http's `CatchPanic`) goes below the chain, and its error or 500 descends.
//!
//! # Writes do not happen twice
//!
//! A charge that timed out may have been made, so it is not made again elsewhere. A request that may be a write
//! descends only where the cause [proves](Cause::proves_not_sent) that it was not sent:
//!
//! * the readiness of whoever should have got it failed;
//! * a guard refused it: the error *is* a [`Rejected`](crate::core::Rejected), or the answer carries one in its
//!   extensions. One that is only among an error's sources proves nothing, for it may come from the second step of a
//!   service whose first is done. With [`covering`](FallbackBuilder::covering), one by another dependency's guard does
//!   not either; nor does a tier's by another guard than that of the dependency that it
//!   [stands for](FallbackBuilder::tier_stands_for). (What remains is a primary that does several things itself, or the
//!   same twice, as a retry or a redirect does, and passes on how the guard of the *covered* dependency, or the
//!   connection, refused the later one: give such a service an error of its own.)
//! * no connection could be made: the error is a [`std::io::Error`] of `ConnectionRefused`; on HTTP and gRPC it may be
//!   among a boxed error's sources, and with [`causes_from_sources`](FallbackBuilder::causes_from_sources) among those of
//!   a client's own error type. What else your client calls a failed connection, [`causes`](FallbackBuilder::causes) can
//!   say.
//!
//! | chain | what is no write | what `.idempotent()` permits |
//! |---|---|---|
//! | `for_results()` | nothing, until `.safe()` says that everything is | everything: all requests carry a key |
//! | `for_http()` | GET, HEAD, OPTIONS, TRACE | requests with an `Idempotency-Key` header |
//! | `for_grpc()` | nothing, until `.safe()` | calls with `idempotency-key` metadata |
//!
//! A request that may not descend gets what it would have got without a chain: the failed answer or the error. In an
//! HTTP or gRPC chain that cannot fail, an error becomes a 503 (`UNAVAILABLE`), which is not a refusal: it carries an
//! [`Exhausted`], and no `Rejected`. The log says at DEBUG that a tier was not asked for that reason. Nor does a tier's refusal of a write that the primary may have made go up to those
//! who would take it for proof: an answer loses its `Rejected`, and in place of the error there is an `Exhausted`.
//!
//! # Requests that are made again
//!
//! A plain request must be `Clone`, and is cloned once a call. An HTTP request without a body is made again from its
//! head, whatever its body's type (`Body + Default`). One with a body is made again below a
#![cfg_attr(
    feature = "http",
    doc = "[`ReplayLayer`](crate::http::ReplayLayer), which keeps small bodies,"
)]
#![cfg_attr(
    not(feature = "http"),
    doc = "`ReplayLayer`, which keeps small bodies,"
)]
//! (in one `ServiceBuilder` with the chain: two calls of axum's `Router::layer` box the body between them),
//! or where its body is `Clone` and the chain [`cloning`](FallbackBuilder::cloning). A request that was never given to
//! anybody, because readiness failed, goes to the first tier as it is.
//!
//! Where a body could not be kept (too large, of unknown size, cut off), tiers of whole requests count as absent, and
//! *head tiers* are asked, which get the request without its body: [`head_tier`](FallbackBuilder::head_tier),
//! [`head_tier_fn`](FallbackBuilder::head_tier_fn), [`last_head`](FallbackBuilder::last_head). The mark says `head-only`
//! then.
//!
#![cfg_attr(feature = "http", doc = "```")]
#![cfg_attr(not(feature = "http"), doc = "```ignore")]
//! # use brownout::{fallback::{Failed, FallbackLayer}, http::{ReplayBody, ReplayLayer}};
//! # use http::{Request, Response};
//! # use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! # let client = service_fn(|_: Request<ReplayBody<String>>| async { Err::<Response<String>, _>(BoxError::from("reset")) });
//! let search = ServiceBuilder::new()
//!     .layer(ReplayLayer::new().limit(16 * 1024))
//!     .layer(
//!         FallbackLayer::for_http()
//!             .safe()
//!             .tier_fn("index", |f: Failed<Request<ReplayBody<_>>>| async move {
//!                 Ok::<_, BoxError>(Response::new(f.request.into_body()))
//!             })
//!             .last_head("empty", |_| async { Response::new("[]".to_owned()) })?,
//!     )
//!     .service(client);
//! let large = "x".repeat(20_000);
//! for (query, answer) in [("{}", "{}"), (large.as_str(), "[]")] {
//!     let Ok(response) = search.clone().oneshot(Request::post("/").body(query.to_owned())?).await;
//!     # use http_body::Body;
//!     assert_eq!(response.body().size_hint().exact(), Some(answer.len() as u64));
//! }
//! # Ok(()) }
//! ```
//!
//! # Every degraded answer says so
//!
//! An HTTP or gRPC answer of a tier carries [`Marks`](crate::core::Marks) in its extensions: which dependency is missing
//! (by its public name), which tier answered, why, and how degraded the system was. Other types are marked by a closure,
//! [`mark_with`](FallbackBuilder::mark_with).
//!
//! # Defaults
//!
//! | what | default | why |
//! |---|---|---|
//! | a tier's timeout, the deadline | none | only you know how long an answer is worth waiting for |
//! | requests are | writes | a read that fails is seen and mended; a write that is made twice is not |
//! | covers | no dependency | a chain needs none to work; without one, nothing is reported and marks have no name |
//! | exhausted | the last tier's own error | a chain changes no types |
//! | exercises | nothing | answers of tiers are worse; whether they may be given away is yours to say |
//!
//! # Events and logs
//!
//! | event | log | when |
//! |---|---|---|
//! | `FallbackServed` | WARN "fallback serves" | a tier has begun to serve, with the reason |
//! | `FallbackEnded` | INFO "fallback no longer serves" | a call has been answered, and the tier has not been needed for 10 s; with the number of calls it served |
//!
//! | | DEBUG "fallback tier not asked" | each call whose request may be a write that was sent |
//! | `TierSwitched` | WARN "fallback tier switched off", INFO "… on" | somebody switched a tier, and it was not so before |
//!
//! The first two tell of spells and not of calls: a primary that fails now and then, or tiers that take turns, make at most two
//! events per tier in ten seconds. Only a chain that covers a dependency has somebody to tell.
//!
//! Each call that a tier answers records the tier as `degraded` on the current tracing span, where that has such a field,
//! and says so at TRACE.
//!
//! # Cost
//!
//! A call whose primary answers polls it once, and costs the clone of the request and of the tiers. A descent allocates
//! nothing itself before the second failure; but the text of an error is allocated, unless
//! [`causes`](FallbackBuilder::causes) has a static one. The clock is read only where there is a time to keep; a call that
//! has a deadline and is not answered at once allocates its timer. A chain that covers nothing and has no time of its own
//! to keep carries nothing of that; one that does takes a handle of its thread for each call.
//!
//! The future of a call holds the primary's and the last tier's beside each other, those of the tiers between in one
//! place: a last tier whose future is large is better boxed.

#[cfg(feature = "http")]
mod answers;
mod asks;
mod builder;
mod chain;
mod conclude;
mod failed;
pub mod future;
mod join;
mod judge;
mod layer;
mod plan;
mod run;
mod service;
mod tier;
mod timer;
mod watch;

use crate::core::{mark, requests};

/// What a chain is made of: the strategies behind [`FallbackBuilder`]'s methods, and the types that they work on.
/// Most users never name them.
pub mod parts {
    pub use crate::core::oneshot::NoAnswer;

    #[cfg(feature = "http")]
    pub use super::{
        answers::{AlwaysAnswers, Answers},
        judge::Responses,
        mark::InExtensions,
        requests::{
            Bodies, Cloned, HttpRequests, KeptRequest, Replay, ReplayableBody, Rules, Sources,
            Transport,
        },
    };
    pub use super::{
        asks::{Asks, Head, Whole},
        chain::{NoTiers, Or, OrLast, Tiers},
        conclude::{
            Certain, Conclude, ExhaustedWith, FailExhausted, Missed, OwnError, PrimaryError,
        },
        failed::History,
        join::Join,
        judge::{EveryError, Judge, Neutral, Results},
        mark::{MarkWith, Unmarked},
        plan::Plan,
        requests::{
            ByClosure, ByDisplay, Explain, Heads, Idempotent, MayNotDescend, Requests, Safe, Writes,
        },
        run::{AllFailed, End, Outcome, Run, ServedBy, Spent, Unanswered, Waiting},
        tier::{Attempt, FnTier, LastTier, ServiceTier},
        timer::Timer,
        watch::{
            Exercised, Exercising, Held, Resume, Skip, Timed, Timing, Untimed, Unwatched, Watch,
            Watched, WatchedCall, Watching,
        },
    };
}

pub use self::{
    builder::FallbackBuilder,
    failed::{Exhausted, Failed, Failure},
    layer::FallbackLayer,
    mark::MarkDegraded,
    service::Fallback,
    tier::Tier,
    watch::{Chain, Exercise, SwitchError, TierView},
};
pub use crate::core::{Cause, CauseKind};
