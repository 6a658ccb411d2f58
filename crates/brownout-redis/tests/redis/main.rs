//! The store over real servers, which the tests start, pause, kill and cut off.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]
#![allow(clippy::panic, reason = "a test that panics says what is wrong")]

mod agreement;
mod bounds;
mod coalescing;
mod conformance;
mod counting;
mod damage;
mod fleet;
mod model;
mod outages;
mod places;
mod restored;
mod rights;
mod support;
#[cfg(feature = "tls")]
mod tls;
mod traps;
mod trouble;
