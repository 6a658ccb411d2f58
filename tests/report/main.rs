//! What real servers say of themselves: to orchestrators, to people, and beside their answers.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

mod degraded;
mod depth;
mod health;
mod orchestrator;
mod raw;
mod secrets;
mod traffic;
mod wire;
