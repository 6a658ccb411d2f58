//! What the replay of request bodies does, sentence by sentence.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that unwraps or panics says that something is wrong"
)]

mod common;

mod bounds;
mod hostile;
mod keeping;
mod laws;
mod model;
mod passing;
