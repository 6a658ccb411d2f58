//! Chains on real servers and around real clients.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

mod common;
mod mirror;
mod traffic;

mod axum;
mod broken;
mod clients;
mod errors;
mod grpc;
mod grpc_client;
mod grpc_heads;
mod kills;
mod shapes;
mod uploads;
