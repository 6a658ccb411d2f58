//! What a fallback chain does, sentence by sentence.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that unwraps or panics says that something is wrong"
)]

mod common;

mod bad_configuration;
mod bounds;
mod descending;
mod exercise;
mod exercised;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod heads;
mod health;
#[cfg(feature = "http")]
mod http;
mod laws;
mod model;
mod regressions;
mod passing_over;
mod reports;
mod switches;
mod times;
mod writes;
