use std::time::Duration;

use tokio::time::Instant;

/// The times of one call. The clock is read only where there is something to measure or to keep.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// When the whole chain has to be done.
    total: Option<Instant>,
    /// When whoever runs now has to be done.
    due: Option<Instant>,
    /// Since when it runs.
    since: Option<Instant>,
    timed: bool,
    expired: bool,
}

impl Clock {
    /// The clock of a call that begins now.
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(super) fn start(within: Option<Duration>, timed: bool) -> Self {
        let since = (timed || within.is_some()).then(Instant::now);
        let total = since
            .zip(within)
            .and_then(|(now, within)| now.checked_add(within));
        Self {
            total,
            due: total,
            since,
            timed: since.is_some(),
            expired: false,
        }
    }

    /// Begins a tier; `false` where nothing remains of the chain's deadline.
    pub(super) fn begin(&mut self, timeout: Option<Duration>) -> bool {
        self.expired = false;
        let now = (self.timed || timeout.is_some()).then(Instant::now);
        self.since = now;
        self.due = now
            .zip(timeout)
            .and_then(|(now, timeout)| now.checked_add(timeout));
        if let Some(total) = self.total {
            self.due = Some(self.due.map_or(total, |due| due.min(total)));
            return now.is_some_and(|now| now < total);
        }
        true
    }

    /// Begins what nothing bounds.
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(super) fn begin_last(&mut self) {
        self.due = None;
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn expire(&mut self) {
        self.expired = true;
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expired
    }

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(super) fn elapsed(&self) -> Option<Duration> {
        match (self.timed, self.since) {
            (true, Some(since)) => Some(Instant::now().saturating_duration_since(since)),
            _ => None,
        }
    }
}
