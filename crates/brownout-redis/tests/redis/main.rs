//! The store over real servers, which the tests start, pause, kill and cut off.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

mod conformance;
mod outages;
mod support;
mod traps;
mod trouble;
