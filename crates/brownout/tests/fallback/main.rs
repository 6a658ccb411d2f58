//! What a fallback chain does, sentence by sentence.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that unwraps or panics says that something is wrong"
)]

mod common;

mod bad_configuration;
mod bad_input;
mod bounds;
mod descending;
mod exercise;
mod exercised;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod heads;
mod health;
mod hostile;
#[cfg(feature = "http")]
mod http;
mod laws;
#[cfg(feature = "http")]
mod levels;
#[cfg(feature = "http")]
mod mixed;
mod model;
mod passing_over;
mod regressions;
#[cfg(feature = "http")]
mod replayed;
mod reports;
mod shares;
mod switches;
mod times;
mod waiting;
mod writes;
