//! What an aggregate does, sentence by sentence.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that unwraps or panics says that something is wrong"
)]

mod common;

mod bad_configuration;
mod concurrency;
mod dropping;
#[cfg(feature = "http")]
mod http;
mod laws;
mod many;
mod model;
mod panics;
mod reports;
mod shapes;
mod times;
mod values;
