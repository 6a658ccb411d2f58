//! What becomes of counts on their way to a recorder.

#![cfg(feature = "metrics")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

mod collecting;
mod common;
mod durations;
mod fleet;
mod totals;
