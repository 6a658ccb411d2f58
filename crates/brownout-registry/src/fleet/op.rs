//! The store's operations by name, for metrics and tests.

use std::fmt;

/// An operation of a [`FleetStore`](super::FleetStore).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreOp {
    /// [`subscribe`](super::FleetStore::subscribe).
    Subscribe,
    /// [`Changes::next`](super::Changes::next).
    Changes,
    /// [`picture`](super::FleetStore::picture).
    Picture,
    /// [`write`](super::FleetStore::write).
    Write,
    /// [`count`](super::FleetStore::count).
    Count,
    /// [`report`](super::FleetStore::report).
    Report,
    /// [`replicas`](super::FleetStore::replicas).
    Replicas,
    /// [`ping`](super::FleetStore::ping).
    Ping,
}

impl StoreOp {
    /// Every operation, in declaration order.
    pub const ALL: &'static [Self] = &[
        Self::Subscribe,
        Self::Changes,
        Self::Picture,
        Self::Write,
        Self::Count,
        Self::Report,
        Self::Replicas,
        Self::Ping,
    ];

    /// The name used in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Changes => "changes",
            Self::Picture => "picture",
            Self::Write => "write",
            Self::Count => "count",
            Self::Report => "report",
            Self::Replicas => "replicas",
            Self::Ping => "ping",
        }
    }
}

impl fmt::Display for StoreOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
