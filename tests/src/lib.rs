//! Servers, clients and circuits for the tests of whole stacks, which are the targets beside `src`.
//!
//! | module | what for |
//! |---|---|
//! | [`server`] | servers on loopback, well-behaved ([`Server::axum`]) and not ([`Server::raw`]) |
//! | [`client`] | HTTP clients that are tower services, and one-line requests |
//! | [`grpc`] | a gRPC service and its client, written by hand, so that nothing needs `protoc` |
//! | [`circuit`] | policies that decide within milliseconds, and waiting for what they decide |
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "helpers of tests: what goes wrong here fails the test that asked"
)]

pub mod circuit;
pub mod client;
pub mod grpc;
pub mod server;

pub use self::server::Server;

/// The README's examples, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
