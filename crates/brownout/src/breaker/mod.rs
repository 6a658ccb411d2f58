//! Circuit breaker: stops calling a dependency that fails, and finds out by itself when it has recovered.
//!
//! A dependency that fails slowly takes its callers down with it: each waits for a timeout, and they pile up. A
//! breaker counts how calls end; when too many fail it *opens*, and calls are refused at once, at the price of a
//! function call. After a while it lets a few *probes* through, and closes if they succeed.
//!
//! # By default
//!
//! ```
//! use brownout::{Registry, breaker::CircuitBreakerLayer};
//! use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let registry = Registry::new();
//! let ledger = registry.dependency("ledger").register()?;
//!
//! let client = ServiceBuilder::new()
//!     .layer(CircuitBreakerLayer::new(&ledger).for_results())
//!     .service(service_fn(|account: u32| async move { Ok::<_, BoxError>(account * 100) }));
//!
//! assert_eq!(client.oneshot(7).await?, 700);
//! # Ok(()) }
//! ```
//!
//! A breaker has to be told how to judge: [`for_http`](CircuitBreakerLayer::for_http) by status and body,
//! [`for_grpc`](CircuitBreakerLayer::for_grpc) by gRPC status, [`for_results`](CircuitBreakerLayer::for_results) by
//! `Ok` and `Err`. Anything else is a closure:
//!
//! # Customised
//!
//! ```
//! use std::time::Duration;
//! use brownout::{Registry, breaker::{Circuit, CircuitBreakerLayer, Policy}, core::{Rejected, Verdict}};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! #[derive(Debug)]
//! enum Error { NoSuchUser, Database, Unavailable }
//! # impl std::fmt::Display for Error { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{self:?}") } }
//! # impl std::error::Error for Error {}
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let registry = Registry::new();
//! # let users = registry.dependency("users").register()?;
//! let circuit = Circuit::builder(&users)
//!     .policy(
//!         Policy::builder()
//!             .failure_ratio(0.3)
//!             .slow_calls(Duration::from_millis(500), 0.8)
//!             .ramp(Duration::from_secs(10))
//!             .build()?,
//!     )
//!     .build();
//!
//! let client = ServiceBuilder::new()
//!     .layer(
//!         CircuitBreakerLayer::with(circuit.clone())
//!             .classify(|r: Result<&String, &Error>| match r {
//!                 Ok(_) | Err(Error::NoSuchUser) => Verdict::Success,
//!                 Err(_) => Verdict::Failure,
//!             })
//!             .reject_with(|_: Rejected| Err(Error::Unavailable)),
//!     )
//!     .service(service_fn(|id: u32| async move {
//!         if id == 0 { Err(Error::Database) } else { Ok(format!("user {id}")) }
//!     }));
//!
//! assert_eq!(client.oneshot(7).await?, "user 7");
//! assert_eq!(circuit.stats().totals.successes, 1);
//! # Ok(()) }
//! ```
//!
//! Code that is no tower service asks the circuit itself: [`Circuit::admit`] gives a [`Ticket`].
//!
//! # States
//!
//! ```text
//!              a threshold is reached
//!   ┌────────┐ ─────────────────────────────────────────► ┌────────┐
//!   │ Closed │                                            │  Open  │ refuses everything
//!   └────────┘          ┌───────────┐ ◄────────────────── └────────┘
//!       ▲               │ Half-open │  the open time is over,    ▲
//!       └────────────── └───────────┘  and somebody calls        │
//!    enough probes succeed,    │                                 │
//!    or one was answered       └─────────────────────────────────┘
//!    when the round ends         too many failed, or none was answered
//! ```
//!
//! Half-open is a *round*: it starts with its first probe and lasts one lease at most. A probe that is lost, hangs or
//! is abandoned therefore costs one lease and never wedges the circuit. A round that ends with any failure reopens,
//! else with any answer closes (a 404 proves that the dependency lives), else reopens without a longer back-off.
//!
//! Outcomes belong to the *generation* in which their call was admitted. What comes after a transition is counted in
//! the totals and moves nothing.
//!
//! # Defaults
//!
//! | setting | default | why |
//! |---|---|---|
//! | [`failure_ratio`](PolicyBuilder::failure_ratio) | 50 % | far above the noise of a healthy dependency, far below an outage |
//! | [`window`](PolicyBuilder::window) | 10 s, ten sub-buckets | long enough to hold a sample, short enough to notice |
//! | [`minimum_calls`](PolicyBuilder::minimum_calls) | 20 | at a true rate of 30 %, twenty calls reach 50 % by chance in about 5 % of windows, ten in 15 % |
//! | [`consecutive_failures`](PolicyBuilder::consecutive_failures) | 5, below the minimum only | little traffic still trips; busy traffic is judged by its ratio |
//! | [`slow_calls`](PolicyBuilder::slow_calls) | off | what slow means, only the user knows |
//! | [`open_for`](PolicyBuilder::open_for) | 5 s, doubled on each reopening up to 60 s | a blip costs seconds, an outage few probes |
//! | [`jitter`](PolicyBuilder::jitter) | ± 20 % | replicas must not probe in step |
//! | [`probes`](PolicyBuilder::probes) | 3 at once | enough to survive a lost one, too few to hurt |
//! | [`close_after`](PolicyBuilder::close_after) | 2 of 2 | one success may be luck; any failure reopens |
//! | [`lease`](PolicyBuilder::lease) | 5 s | what a lost probe may cost |
//! | [`ramp`](PolicyBuilder::ramp) | off | for dependencies that come back cold; starts at a tenth |
//! | [`abandoned`](PolicyBuilder::abandoned) | neutral; with a slow threshold, a failure beyond it | a caller that gives up says little about the dependency, unless it waited long |
//!
//! # Timeouts belong inside
//!
//! A timeout *inside* the breaker turns slowness into a failure, with a verdict of its own. A timeout *outside* only
//! drops the call: it is abandoned, and by default counts nothing. If the timeout must be outside, set
//! [`slow_calls`](PolicyBuilder::slow_calls): then abandoned calls that were slow fail, and calls that hang trip the
//! circuit while they hang.
//!
//! Retries go *outside*, and must not retry refusals ([`Rejected`](crate::core::Rejected)). `ConcurrencyLimit` and
//! `Buffer` go inside: an open circuit then answers without waiting for their permits.
//!
//! # Readiness and cancellation
//!
//! While the circuit is open the service is ready at once, without polling its inner service; that call is refused,
//! whatever changes before it is made. A readiness error of the inner service is counted and passed on. Nothing is
//! reserved before `call`, so an idle clone holds nothing. A service that waits for an inner one that is not ready is
//! woken when the circuit opens. [`ready_within`](CircuitBreakerLayer::ready_within) bounds that wait;
//! [`wait_while_open`](CircuitBreakerLayer::wait_while_open) is for balancers.
//!
//! Dropping the response future, or the body that carries its ticket, abandons the call. A panic in the inner service
//! is a failure.
//!
//! # Health
//!
//! The circuit reports on its dependency: open and half-open are `Unhealthy`, closed is `Healthy`. The word of an open
//! circuit counts until a probe is due. After that, without a call, nobody knows, and the dependency is `Degraded`:
//! what degradation switches off must not be what keeps the system degraded.
//!
//! # Operators
//!
//! [`Dependency::override_circuit`](crate::Dependency::override_circuit) imposes a mode on all circuits of a
//! dependency, until it expires or is released: *forced open* refuses everything; *forced closed* admits everything
//! and goes on counting; *observe only* admits everything and says when the circuit would have opened.
//! [`Circuit::reconfigure`] changes the policy while calls are under way, [`Circuit::clear_counts`] forgets.
//!
//! # Events and logs
//!
//! | event | log | when |
//! |---|---|---|
//! | `CircuitOpened` | WARN "circuit opened" | with reason, and the time until a probe is due |
//! | `CircuitHalfOpened` | INFO "circuit half-open" | the first probe goes out |
//! | `CircuitClosed` | INFO "circuit closed" | |
//! | `CircuitWouldOpen` | WARN "circuit would have opened, but only observes" | observe only; its counts start anew |
//!
//! Refusals are counted ([`Totals::rejected`]) and never logged one by one, except at TRACE: there, each call that does
//! not succeed says what came of it.
//!
//! # Cost
//!
//! The closed path takes no lock and allocates nothing. Outcomes are counted on cache lines of the thread's own; a
//! window of time is the difference between totals, whatever it holds. The clock is read only where the policy needs
//! it: not for a success under [`Policy::consecutive`], once under a window of time, twice with a slow threshold.
//! A window of [calls](PolicyBuilder::window_of_calls) is one ring that all threads share.

mod call_window;
mod cell;
mod circuit;
mod clock;
mod counts;
mod credit;
mod durations;
mod engine;
mod family;
pub mod future;
mod hanging;
mod keyed;
mod keyed_service;
mod knobs;
mod layer;
#[cfg(all(test, brownout_loom))]
mod loom;
mod machine;
mod meter;
mod pass;
mod policy;
mod service;
mod shared;
mod stats;
mod ticket;
mod voice;
mod waiters;
mod waiting;
mod window;

pub use self::{
    circuit::{Circuit, CircuitBuilder},
    keyed::KeyedCircuits,
    keyed_service::KeyedCircuitBreaker,
    layer::{ByKey, CircuitBreakerLayer, Unjudged},
    policy::{Abandoned, Policy, PolicyBuilder},
    service::CircuitBreaker,
    stats::{Stats, Totals},
    ticket::Ticket,
};
