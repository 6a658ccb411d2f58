//! Partial aggregation: asks several services for parts of one answer, which comes even when some are missing.
//!
//! A dashboard needs a profile, and is nicer with orders, recommendations and reviews. Asked one after another they are
//! slow, and with a plain `join!` the worst of them decides over all. An aggregate asks them at the same time, each under
//! its own deadline, and says of each what came of it: a value, a value that stands in, or the cause why there is none.
//! Only where a *required* part is missing is there no answer.
//!
//! # By default
//!
//! ```
//! use std::time::Duration;
//! use brownout::aggregate::{AggregateLayer, PartKey};
//! # use tower::{BoxError, ServiceExt, service_fn};
//!
//! struct Profile;
//! impl PartKey for Profile { type Value = String; const NAME: &'static str = "profile"; }
//!
//! struct Recs;
//! impl PartKey for Recs { type Value = Vec<u32>; const NAME: &'static str = "recommendations"; }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), BoxError> {
//! # let profiles = service_fn(|user: u32| async move { Ok::<_, BoxError>(format!("user {user}")) });
//! # let recommender = service_fn(|_: u32| std::future::pending::<Result<Vec<u32>, BoxError>>());
//! let page = AggregateLayer::for_results::<u32>()
//!     .part(Profile, profiles)
//!     .optional(Recs, recommender)
//!     .within(Duration::from_secs(3))
//!     .into_service()?;
//!
//! let parts = page.oneshot(7).await?;
//! assert!(parts.is_partial());
//! let (profile, recs) = parts.into_values();
//! assert_eq!(profile, "user 7");
//! assert_eq!(recs.cause().unwrap().text(), "no answer in time");
//! # Ok(()) }
//! ```
//!
//! Parts are tower services, and their values are typed by *keys*: of a required part one gets the value itself, of an
//! optional one its [`PartOutcome`]. Neither can be confused with another, and the compiler knows.
//!
//! # In front of a handler
//!
//! On HTTP the aggregate is a layer in front of whatever composes the answer. Parts see the request's head. With the
//! feature `axum` a handler takes them as arguments:
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```ignore")]
//! use std::time::Duration;
//! use brownout::{Registry, aggregate::{AggregateLayer, FailedParts, MaybePart, Part, PartKey}};
//! # use tower::{BoxError, service_fn};
//! # struct Profile;
//! # impl PartKey for Profile { type Value = String; const NAME: &'static str = "profile"; }
//! # struct Recs;
//! # impl PartKey for Recs { type Value = Vec<u32>; const NAME: &'static str = "recommendations"; }
//!
//! async fn dashboard(Part(profile): Part<Profile>, MaybePart(recs): MaybePart<Recs>, failed: FailedParts) -> String {
//!     format!("{profile} {:?} {}", recs.value(), failed.is_partial())
//! }
//!
//! # fn user(head: &http::request::Parts) -> u32 { 7 }
//! # fn main() -> Result<(), BoxError> {
//! # let registry = Registry::new();
//! # let recs = registry.dependency("recommendations").register()?;
//! # let profiles = service_fn(|user: u32| async move { Ok::<_, BoxError>(format!("user {user}")) });
//! # let recommender = service_fn(|_: u32| async { Err::<Vec<u32>, BoxError>("down".into()) });
//! let layer = AggregateLayer::for_http()
//!     .part(Profile, profiles).asking(user)
//!     .optional(Recs, recommender).asking(user)
//!         .timeout(Duration::from_millis(300))
//!         .or(vec![1, 2, 3])
//!         .covering(&recs)
//!     .within(Duration::from_secs(3))
//!     .build()?;
//! // Router::new().route("/dashboard", get(dashboard).route_layer(layer))
//! # let _ = (layer, dashboard);
//! # Ok(()) }
//! ```
//!
//! Put it on with `route_layer`, and onto the route's methods, as above: then neither a 404 nor a 405 fans anything out.
//! (`Router::route_layer` asks the parts for a method that the route does not take, and `layer` for everything.)
//! Elsewhere than on axum a service finds the parts as `PartValues` in the request's extensions; tonic hands these on.
//! Each part can be taken once, what nobody takes is dropped with the request, and a handler that asks for a part which
//! no layer declares answers 500 with a text that names it.
//!
//! | form | who composes the answer | gets |
//! |---|---|---|
//! | `for_http()`, `for_grpc()` | a handler, a router, a server | the request, with the parts in its extensions |
//! | [`for_results`](AggregateLayer::for_results), `build()` | any service | `(Request, `[`Parts`]`)` |
//! | [`for_results`](AggregateLayer::for_results), `into_service()` | the caller | [`Parts`] |
//! | [`for_many`](AggregateLayer::for_many), either | parts known only at run time | `Parts<Vec<PartOutcome<T>>>` |
//!
//! # Asking parts
//!
//! A part is asked with what [`asking`](AggregateBuilder::asking) makes of what it sees, or else with a clone of it. It
//! fails by `Err` alone: let a client's own stack, where breakers and fallbacks are too, turn a bad status into an error
//! (`and_then`) before it is a part. Parts are cloned for each call: let them be cheap to clone.
//!
//! Parts are polled in the caller's task. Nothing is spawned, so nothing need be `Send`, a caller who leaves drops all
//! parts, and work that blocks in one part holds up the others. They begin in the order of declaration, at most
//! [`concurrency`](AggregateBuilder::concurrency) at once; their outcomes have that order too, whoever was first.
//!
//! # What becomes of a part
//!
//! | what happens | its cause |
//! |---|---|
//! | it fails | by the error: `Rejected`, `Connect` or `Failed`, or as [`causes`](AggregateBuilder::causes) says |
//! | its readiness fails | `NotReady` (or `Rejected`, `Connect`) |
//! | its time is over, be it its own or the whole's, and be it that it never became ready | `TimedOut`; it is dropped then and there |
//! | the whole's time is over before it began | `TimedOut`; it is not asked |
//! | it panics, or a closure of it does | `Panicked`; the other parts go on |
//!
//! Where there is a cause, a value of [`or`](AggregateBuilder::or) or [`or_with`](AggregateBuilder::or_with) stands in.
//! Without one the part is missing: an optional one is handed on as missing, a required one ends the call at once, and
//! those that still run are dropped. An answer that comes in the moment of its deadline counts. Of a part that would have
//! answered after everybody has left nothing is seen or counted: it was dropped.
//!
//! A panic is caught only where panics unwind. The panic hook still sees it. A panic of the service that composes the
//! answer goes on to its caller.
//!
//! # A required part is missing
//!
//! On HTTP that is a 503 with the problem type `urn:brownout:required-part`, and a `Retry-After` where a guard that
//! refused the part knows when to try again; on gRPC it is `UNAVAILABLE`. Elsewhere it is the service's own error type,
//! which must be `From<`[`RequiredPart`]`>`, as a `BoxError` is. [`reject`](AggregateBuilder::reject) and
//! [`reject_with`](AggregateBuilder::reject_with) say otherwise. The answer carries the [`RequiredPart`], and never a
//! [`Rejected`](crate::core::Rejected): other parts may have been asked, so it proves nothing. Of several that fail in the same
//! moment it is any.
//!
//! # A partial answer says so
//!
//! HTTP and gRPC answers carry [`Marks`](crate::core::Marks) in their extensions, one for each part that failed, with the
//! public name of the dependency it [covers](AggregateBuilder::covering). With the feature `serde`,
//! `failed.envelope(data)` makes the JSON of a partial answer. Part names are public; what errors say is for operators
//! only, and strangers are told a few words ([`FailedPart::public_text`]).
//!
//! # Defaults
//!
//! | setting | default | why |
//! |---|---|---|
//! | [`within`](AggregateBuilder::within), [`timeout`](AggregateBuilder::timeout) | none | only you know how long an answer is worth waiting for; without either, a part that hangs hangs the whole |
//! | [`concurrency`](AggregateBuilder::concurrency) | 5 | enough for a page, and few enough that one page is no burst |
//! | a part is asked with | a clone of what it sees | needs no closure where types fit |
//! | [`covering`](AggregateBuilder::covering) | no dependency | without one nothing is reported, and marks have no name |
//!
//! # Events and logs
//!
//! | event | log | when |
//! |---|---|---|
//! | `PartMissing` | WARN "part missing" | a part has begun to fail, with the reason, and in the log with the part's own words; also where another value stands in |
//! | `PartReturned` | INFO "part no longer missing" | it has answered, and has not failed for 10 s; with the number of calls that lacked it |
//!
//! They tell of spells and not of calls, and only of parts that cover a dependency: of a part without one there is no
//! line, even where it is required and its lack is a 503. [Cover](AggregateBuilder::covering) those first. A part that fails is also recorded as
//! `degraded` on the current tracing span, where that has such a field.
//!
//! # Readiness and cancellation
//!
//! The layer is ready when the service that composes the answer is. Parts are asked for readiness within the call, on
//! clones and under their own deadlines, so that none holds up calls to others. Times begin when the call's future is
//! first polled. Dropping it drops everything.
//!
//! # Cost
//!
//! Parts that are ready at once allocate nothing, in the typed forms; on HTTP their values share one allocation. Where
//! parts take their time, one timer in the future itself serves all deadlines. The clock is read at most twice in a poll.
//! All parts that run are polled when any of them wakes, each time another one first.

mod ask;
mod builder;
mod covering;
#[cfg(feature = "serde")]
mod envelope;
#[cfg(feature = "axum")]
mod extract;
mod failed;
mod form;
pub mod future;
mod gathering;
#[cfg(feature = "http")]
mod http;
mod key;
mod layer;
mod list;
mod many;
mod many_builder;
mod meter;
#[cfg(feature = "http")]
mod missing;
mod outcome;
mod part;
mod parts;
mod plan;
mod round;
mod service;
mod settings;
mod source;

/// What an aggregate is made of: the strategies behind the builders' methods, and the types that they work on. Most
/// users never name them.
pub mod pieces {
    #[cfg(feature = "http")]
    pub use super::http::{Found, InExtensions, Keyed, Message};
    pub use super::{
        ask::{Ask, Asking, ByClosure, ByDisplay, Explain, Made, Nothing, StandIn, This, Whole},
        form::{Compose, Held, MarkPartial, Pairs, Receive, Request},
        key::{Need, Optional, Required},
        list::{And, Gather, NoParts, NoSlots, Run, Slots},
        many::{Many, ManySlots},
        parts::{Append, IntoValues},
        round::Round,
        service::HandOver,
        source::{Fit, Fitted, Given},
    };
}

#[cfg(feature = "serde")]
pub use self::envelope::{Envelope, FailedService};
#[cfg(feature = "axum")]
pub use self::extract::{MaybePart, Part};
#[cfg(feature = "http")]
pub use self::http::{NoPart, PartValues};
pub use self::{
    builder::AggregateBuilder,
    failed::{FailedPart, FailedParts, RequiredPart},
    key::PartKey,
    layer::AggregateLayer,
    many_builder::AggregateManyBuilder,
    outcome::{PartOutcome, PartResult},
    parts::Parts,
    service::Aggregate,
};
