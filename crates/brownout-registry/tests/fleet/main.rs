//! Replicas over the store in memory: what they share, and what becomes of it when the store is away.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]
#![allow(clippy::panic, reason = "a test that panics says what is wrong")]

mod agreement;
mod common;
mod epochs;
mod garbage;
mod hanging;
mod health;
mod joining;
mod orders;
mod outages;
mod quorum;
mod says;
mod summaries;
mod threads;
mod trips;
