//! Degraded answers: marks collected from the whole call tree of a request, and shown beside its answer.

mod adopt;
mod body;
mod carry;
mod layer;
mod parse;
mod service;
mod wire;

pub(super) mod future;

pub use self::{
    adopt::{AdoptDegraded, AdoptDegradedLayer},
    body::DegradedBody,
    carry::{Carry, carry, note},
    layer::DegradedLayer,
    service::DegradedMarks,
};
