//! Time as one number, and the word that packs a deadline with a small value.
//!
//! A deadline and the value it bounds live in *one* atomic word, so that no reader can pair a value with the deadline
//! of another: 60 bits of nanoseconds since the registry's origin (36 years) above 4 bits of value.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::{snapshot::Moment, ticks::Ticks};

/// The longest dwell, interval or timeout that is taken for what somebody meant.
#[allow(
    clippy::duration_suboptimal_units,
    reason = "`Duration::from_hours` is newer than the oldest supported compiler"
)]
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The bits left for the value.
const VALUE_BITS: u32 = 4;

/// No deadline: the word's upper bits are zero, so that "nothing pending" is one comparison.
pub(crate) const NEVER: u64 = 0;

/// The last deadline that fits.
const LAST: u64 = u64::MAX >> VALUE_BITS;

/// The largest word without a deadline.
pub(crate) const VALUE_MASK: u64 = (1 << VALUE_BITS) - 1;

#[inline]
pub(crate) const fn pack(deadline: u64, value: u64) -> u64 {
    deadline << VALUE_BITS | value & VALUE_MASK
}

#[inline]
pub(crate) const fn packed_deadline(word: u64) -> u64 {
    word >> VALUE_BITS
}

/// tokio's clock, counted in nanoseconds from the registry's origin. Wall time is derived for display only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
    ticks: Ticks,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self::from_origin(Instant::now())
    }

    fn from_origin(origin: Instant) -> Self {
        let ticks = Ticks::since(origin);
        Self { origin, ticks }
    }

    /// Nanoseconds since the origin, which itself is 1: zero means no time.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.ticks.now() + 1
    }

    /// The deadline `after` the given time.
    pub(crate) fn deadline(now: u64, after: Duration) -> u64 {
        let after = u64::try_from(after.as_nanos()).unwrap_or(LAST);
        now.saturating_add(after).min(LAST)
    }

    /// How long it is from one time to a later one.
    pub(crate) const fn distance(from: u64, to: u64) -> Duration {
        Duration::from_nanos(to.saturating_sub(from))
    }

    pub(crate) fn instant(&self, at: u64) -> Instant {
        self.origin
            .checked_add(Duration::from_nanos(at.saturating_sub(1)))
            .unwrap_or(self.origin)
    }

    /// A time as people read it: the wall clock of this moment, moved by the distance on tokio's clock.
    pub(crate) fn moment(&self, at: u64) -> Moment {
        let (now, wall) = (self.now(), SystemTime::now());
        let shifted = if at <= now {
            wall.checked_sub(Duration::from_nanos(now - at))
        } else {
            wall.checked_add(Duration::from_nanos(at - now))
        };
        Moment {
            at: self.instant(at),
            wall: shifted.unwrap_or(wall),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_time_is_the_instant_it_was_read_at_and_never_none() {
        let start = Instant::now();
        let clock = Clock::start();
        assert_eq!((clock.now(), clock.instant(1)), (1, start));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(clock.instant(clock.now()), Instant::now());
        let early = Clock::from_origin(Instant::now() + Duration::from_secs(5));
        assert_eq!(early.now(), 1);
    }
}
