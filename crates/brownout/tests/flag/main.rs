//! What feature flags do, sentence by sentence: what moves them, who decides, and what their services do with calls.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    reason = "a test that unwraps or panics says that something is wrong"
)]

mod common;

mod bad_configuration;
mod bounds;
mod events;
mod falling;
#[cfg(feature = "http")]
mod falling_http;
mod falling_laws;
mod fleet;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http")]
mod http;
mod laws;
mod listeners;
mod model;
mod panics;
mod precedence;
mod races;
mod readiness;
mod recovery;
mod standby;
mod tripping;
