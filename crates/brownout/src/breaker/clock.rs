//! Time as a number, cheaply.
//!
//! A call reads the clock once or twice, and on this path turning an `Instant` into a number by subtraction costs more
//! than the reading itself. The standard library has no other way, except that an `Instant` hashes: what it feeds to a
//! hasher are its seconds and nanoseconds. [`Clock`] listens to that, having first made sure, when it was made,
//! that on this platform it hears what it expects; where it does not, it subtracts.

use std::{
    hash::{Hash, Hasher},
    sync::OnceLock,
    time::Duration,
};

use tokio::time::Instant;

use super::machine::{Nanos, nanos};

/// Where a circuit's time comes from, as nanoseconds since the circuit was made.
///
/// Its kind is a word of its own: hidden in an `Instant`, finding it out costs a few instructions more.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Clock {
    /// Tokio's, which tests can pause. Its epoch is what that hashes to.
    Listening(Nanos),
    /// Tokio's, where hashes cannot be relied on. Its epoch is counted from [`ORIGIN`], which is shorter than an
    /// `Instant`: there may be very many clocks.
    Subtracting(Nanos),
    /// The kernel's coarse monotonic clock: cheaper, and up to a tick (1 to 4 ms) behind. Not paused by tests.
    #[cfg(feature = "coarse-clock")]
    Coarse(coarsetime::Instant),
}

impl Clock {
    pub(super) fn tokio(epoch: Instant) -> Self {
        let probes = [1, 999_999_999, 1_000_000_000, 86_400_123_456_789];
        let reliable = probes.iter().all(|&apart| {
            let later = epoch.checked_add(Duration::from_nanos(apart));
            later.is_some_and(|later| hear(later).wrapping_sub(hear(epoch)) == apart)
        });
        if reliable {
            Self::Listening(hear(epoch))
        } else {
            Self::subtracting(epoch)
        }
    }

    fn subtracting(epoch: Instant) -> Self {
        Self::Subtracting(since_origin(epoch))
    }

    #[cfg(feature = "coarse-clock")]
    pub(super) fn coarse() -> Self {
        Self::Coarse(coarsetime::Instant::now())
    }

    #[inline]
    pub(super) fn now(&self) -> Nanos {
        if let Self::Listening(epoch) = self {
            let now = Instant::now();
            listen(*epoch, now)
        } else {
            self.otherwise()
        }
    }

    // Not inlined: the compiler would have what all kinds read in common read before the clock, and kept meanwhile.
    #[inline(never)]
    fn otherwise(&self) -> Nanos {
        match self {
            #[cfg(feature = "coarse-clock")]
            Self::Coarse(origin) => coarsetime::Instant::now()
                .duration_since(*origin)
                .as_nanos(),
            Self::Subtracting(epoch) => subtract(*epoch),
            Self::Listening(epoch) => listen(*epoch, Instant::now()),
        }
    }
}

#[inline]
fn listen(epoch: Nanos, now: Instant) -> Nanos {
    // A clock does not go back, but a reading may be older than the epoch of a circuit made since.
    hear(now).saturating_sub(epoch)
}

#[cold]
fn subtract(epoch: Nanos) -> Nanos {
    since_origin(Instant::now()).saturating_sub(epoch)
}

/// Some moment, the same for all clocks.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

fn since_origin(instant: Instant) -> Nanos {
    let origin = *ORIGIN.get_or_init(|| instant);
    // Not below zero, whatever was asked for first: the origin itself stands at the middle of all times.
    let after = nanos(instant.saturating_duration_since(origin));
    let before = nanos(origin.saturating_duration_since(instant));
    (Nanos::MAX / 2)
        .saturating_add(after)
        .saturating_sub(before)
}

#[inline]
fn hear(instant: Instant) -> Nanos {
    let mut listener = Listener(0);
    instant.hash(&mut listener);
    listener.0
}

/// Not a hasher at all: adds up a number of seconds and a number of nanoseconds.
struct Listener(Nanos);

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
        // Not what we listen for: whoever hashes this way fails the probes.
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
        let epoch = Instant::now();
        let clock = Clock::tokio(epoch);
        #[cfg(target_os = "linux")]
        assert!(
            matches!(clock, Clock::Listening(_)),
            "hearing works where services run"
        );
        let Clock::Listening(heard) = clock else {
            return;
        };
        for step in [1, 7, 1_000_000, 999_999_999, 3_600_000_000_001] {
            tokio::time::advance(Duration::from_nanos(step)).await;
            assert_eq!(listen(heard, Instant::now()), subtract(since_origin(epoch)));
        }
        assert_eq!(listen(heard, epoch), 0);
    }

    #[test]
    fn a_reading_from_before_the_epoch_is_zero() {
        let epoch = Instant::now() + Duration::from_secs(5);
        for clock in [Clock::tokio(epoch), Clock::subtracting(epoch)] {
            assert_eq!(clock.now(), 0);
        }
    }
}
