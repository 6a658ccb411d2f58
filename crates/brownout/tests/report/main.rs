//! How processes and their dependencies are reported on: over the health paths, and beside answers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that unwraps or panics says that something is wrong"
)]

#[cfg(feature = "http")]
mod common;

#[cfg(feature = "http")]
mod bounds;
#[cfg(feature = "http")]
mod degraded;
#[cfg(feature = "http")]
mod details;
#[cfg(feature = "http")]
mod fleet;
#[cfg(feature = "http")]
mod health;
#[cfg(feature = "http")]
mod laws;
mod lifecycle;
mod probe;
#[cfg(feature = "http")]
mod requests;
mod traffic;
