use std::time::Duration;

use tokio::time::Instant;

use super::watch::{Extras, Watch};

/// The times of one call, if its chain keeps any. The clock is read only where there is something to measure or to keep.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Option<Times>);

#[derive(Clone, Copy, Debug)]
struct Times {
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
    #[inline]
    pub(super) fn start(watch: Option<&Watch>) -> Self {
        Self(watch.map(|watch| Times::start(watch.extras())))
    }

    /// Begins a tier; `false` where nothing remains of the chain's deadline.
    #[inline]
    pub(super) fn begin(&mut self, timeout: Option<Duration>) -> bool {
        self.0.as_mut().is_none_or(|times| times.begin(timeout))
    }

    /// Begins what nothing bounds.
    #[inline]
    pub(super) fn begin_last(&mut self) {
        if let Some(times) = &mut self.0 {
            times.due = None;
        }
    }

    #[inline]
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.as_ref()?.due
    }

    pub(super) fn expire(&mut self) {
        if let Some(times) = &mut self.0 {
            times.expired = true;
        }
    }

    #[inline]
    pub(super) fn is_expired(&self) -> bool {
        self.0.as_ref().is_some_and(|times| times.expired)
    }

    #[inline]
    pub(super) fn elapsed(&self) -> Option<Duration> {
        self.0.as_ref()?.elapsed()
    }
}

impl Times {
    #[inline(never)]
    fn start(extras: Extras) -> Self {
        let since = (extras.timed || extras.within.is_some()).then(Instant::now);
        let total = since
            .zip(extras.within)
            .and_then(|(now, within)| now.checked_add(within));
        Self {
            total,
            due: total,
            since,
            timed: since.is_some(),
            expired: false,
        }
    }

    fn begin(&mut self, timeout: Option<Duration>) -> bool {
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

    #[inline(never)]
    fn elapsed(&self) -> Option<Duration> {
        let since = self.since.filter(|_| self.timed)?;
        Some(Instant::now().saturating_duration_since(since))
    }
}
