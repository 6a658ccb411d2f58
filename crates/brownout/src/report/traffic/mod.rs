//! Passive reports: how the calls of a service that is in use anyway say how a dependency is.

mod builder;
mod handle;
mod judge;
mod layer;
mod service;
mod ticket;
mod window;

#[cfg(all(test, brownout_loom))]
mod loom;

pub(super) mod future;

pub use self::{
    builder::TrafficBuilder,
    handle::{Traffic, TrafficStats},
    layer::{ReportLayer, Unjudged},
    service::Reported,
    ticket::TrafficTicket,
};
