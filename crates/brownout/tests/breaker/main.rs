//! What the circuit breaker does, sentence by sentence: its states, its services, and what it says to others.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    reason = "a test that unwraps or panics says that something is wrong"
)]

mod common;
mod family;

mod abandonment;
mod back_off;
mod bad_configuration;
#[cfg(feature = "http")]
mod bodies;
mod bounds;
mod closed;
mod half_open;
mod hanging;
mod keyed;
mod keyed_forgotten;
mod keyed_reports;
mod laws;
mod listeners;
mod modes;
mod opening;
mod panics;
mod ramp;
mod readiness;
mod reconfigure;
mod refusals;
#[cfg(feature = "grpc")]
mod refusals_grpc;
#[cfg(feature = "http")]
mod refusals_http;
mod registry_reports;
#[cfg(feature = "grpc")]
mod verdicts_grpc;
#[cfg(feature = "http")]
mod verdicts_http;
mod waiting;
