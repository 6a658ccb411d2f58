//! Health over HTTP: the paths, who is told what, and how it is written.

mod answer;
mod details;
mod endpoint;
mod json;
mod layer;
mod service;
mod state;
mod time;
mod verdict;

pub(super) mod future;

pub use self::{endpoint::Endpoint, layer::HealthLayer, service::Health};
