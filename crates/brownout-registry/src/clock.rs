//! Time as one number, and the word that packs a deadline with a small value.
//!
//! A deadline and the value it bounds live in *one* atomic word, so that no reader can pair a value with the deadline
//! of another: 60 bits of nanoseconds since the registry's origin (36 years) above 4 bits of value.

use std::hash::{Hash, Hasher};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::snapshot::Moment;

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
///
/// A report that changes nothing costs little more than reading the clock, and turning an `Instant` into a number by
/// subtraction costs more than the reading. An `Instant` has no other number to give, except that it hashes: what it
/// feeds to a hasher are its seconds and nanoseconds. The clock listens to that, having made sure first that it hears
/// what it expects on this platform; where it does not, it subtracts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
    /// What is heard of the instant one nanosecond before the origin; [`DEAF`] where hashes cannot be relied on.
    heard: u64,
}

/// Later than any clock shows.
const DEAF: u64 = u64::MAX;

impl Clock {
    pub(crate) fn start() -> Self {
        Self::from_origin(Instant::now())
    }

    fn from_origin(origin: Instant) -> Self {
        let before = hear(origin).wrapping_sub(1);
        let tries = [1, 999_999_999, 1_000_000_000, 86_400_123_456_789];
        let reliable = tries.iter().all(|&apart| {
            let later = origin.checked_add(Duration::from_nanos(apart));
            later.is_some_and(|later| hear(later).wrapping_sub(before) == apart + 1)
        });
        let heard = if reliable { before } else { DEAF };
        Self { origin, heard }
    }

    /// Nanoseconds since the origin, which itself is 1: zero means no time.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        let now = Instant::now();
        if self.heard == DEAF {
            return self.since_origin(now);
        }
        // A clock does not go back, but two registries' threads may read two: a paused one and a real one.
        hear(now).saturating_sub(self.heard).max(1)
    }

    #[cold]
    fn since_origin(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.origin);
        // Not `as_nanos`, whose 128 bits cost as much as the rest; 64 bits last 584 years.
        since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos()) + 1
    }

    /// The deadline `after` the given time.
    pub(crate) fn deadline(now: u64, after: Duration) -> u64 {
        let after = u64::try_from(after.as_nanos()).unwrap_or(LAST);
        now.saturating_add(after).min(LAST)
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

#[inline]
fn hear(instant: Instant) -> u64 {
    let mut listener = Listener(0);
    instant.hash(&mut listener);
    listener.0
}

/// Not a hasher at all: adds up a number of seconds and a number of nanoseconds.
struct Listener(u64);

impl Hasher for Listener {
    #[inline]
    fn write_u64(&mut self, seconds: u64) {
        self.0 = self.0.wrapping_add(seconds.wrapping_mul(1_000_000_000));
    }

    #[inline]
    fn write_i64(&mut self, seconds: i64) {
        self.write_u64(seconds.cast_unsigned());
    }

    #[inline]
    fn write_u32(&mut self, nanos: u32) {
        self.0 = self.0.wrapping_add(u64::from(nanos));
    }

    fn write(&mut self, _: &[u8]) {
        // Not what is listened for: a platform that hashes this way is found out at the start.
        self.0 = self.0.rotate_left(17) ^ 0x5bd1_e995;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_heard_is_what_subtraction_says() {
        let clock = Clock::start();
        #[cfg(target_os = "linux")]
        assert_ne!(clock.heard, DEAF, "hearing works where services run");
        for step in [0, 1, 7, 1_000_000, 999_999_999, 3_600_000_000_001] {
            tokio::time::advance(Duration::from_nanos(step)).await;
            assert_eq!(clock.now(), clock.since_origin(Instant::now()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_from_before_the_origin_is_the_origin() {
        let early = Clock::from_origin(Instant::now() + Duration::from_secs(5));
        assert_eq!(early.now(), 1);
        let deaf = Clock {
            heard: DEAF,
            ..early
        };
        assert_eq!(deaf.now(), 1);
    }
}
