use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::core::{Settle, Verdict};

use super::handle::Shared;

/// One call that a [`Traffic`](super::Traffic) waits to hear of. Dropped unsettled, it counts for nothing.
///
/// ```
/// use brownout::{Registry, report::Traffic};
///
/// # fn query() -> Result<u32, std::io::Error> { Ok(7) }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new();
/// let traffic = Traffic::new(&registry.dependency("users").register()?);
///
/// let ticket = traffic.begin();
/// match query() {
///     Ok(_) => ticket.success(),
///     Err(_) => ticket.failure(),
/// }
/// assert_eq!(traffic.stats().calls, 1);
/// # Ok(()) }
/// ```
#[must_use = "a ticket that is dropped counts for nothing"]
pub struct TrafficTicket {
    traffic: Option<Arc<Shared>>,
    begun: Instant,
    /// How long the head of the answer took, once it is there.
    took: Option<Duration>,
}

impl TrafficTicket {
    #[inline]
    pub(super) fn new(traffic: Arc<Shared>) -> Self {
        Self {
            traffic: Some(traffic),
            begun: Instant::now(),
            took: None,
        }
    }

    /// The call succeeded.
    pub fn success(self) {
        self.settle(Verdict::Success);
    }

    /// The call failed.
    pub fn failure(self) {
        self.settle(Verdict::Failure);
    }

    /// Reports the verdict.
    pub fn settle(mut self, verdict: Verdict) {
        Settle::settle(&mut self, verdict);
    }
}

impl Settle for TrafficTicket {
    #[inline]
    fn head(&mut self, _: Verdict) {
        self.took = Some(self.begun.elapsed());
    }

    #[inline]
    fn settle(&mut self, verdict: Verdict) {
        if let Some(traffic) = self.traffic.take() {
            let now = Instant::now();
            let took = self
                .took
                .unwrap_or_else(|| now.saturating_duration_since(self.begun));
            traffic.settle(verdict, now, took);
        }
    }

    #[inline]
    fn take(&mut self) -> Self {
        Self {
            traffic: self.traffic.take(),
            ..*self
        }
    }
}

impl fmt::Debug for TrafficTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrafficTicket")
            .field("settled", &self.traffic.is_none())
            .finish_non_exhaustive()
    }
}
