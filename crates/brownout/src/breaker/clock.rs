//! Time as a number, cheaply.
//!
//! A call reads the clock once or twice, and on this path turning an `Instant` into a number by subtraction costs more
//! than the reading itself. The standard library has no other way, except that an `Instant` hashes: what it feeds to a
//! hasher are its seconds and nanoseconds. [`Stopwatch`] listens to that, having first made sure, when it was made,
//! that on this platform it hears what it expects; where it does not, it subtracts.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use tokio::time::Instant;

use super::machine::{Nanos, nanos};

/// Where a circuit's time comes from, as nanoseconds since the circuit was made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// Tokio's, which tests can pause.
    Tokio(Stopwatch),
    /// The kernel's coarse monotonic clock: cheaper, and up to a tick (1 to 4 ms) behind. Not paused by tests.
    #[cfg(feature = "coarse-clock")]
    Coarse(coarsetime::Instant),
}

impl Clock {
    pub(super) fn tokio(epoch: Instant) -> Self {
        Self::Tokio(Stopwatch::new(epoch))
    }

    #[cfg(feature = "coarse-clock")]
    pub(super) fn coarse() -> Self {
        Self::Coarse(coarsetime::Instant::now())
    }

    #[inline]
    pub(super) fn now(self) -> Nanos {
        match self {
            Self::Tokio(stopwatch) => stopwatch.read(Instant::now()),
            #[cfg(feature = "coarse-clock")]
            Self::Coarse(origin) => coarsetime::Instant::now().duration_since(origin).as_nanos(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch {
    epoch: Instant,
    /// What the epoch hashes to, if hashes can be relied on.
    heard: Option<Nanos>,
}

impl Stopwatch {
    fn new(epoch: Instant) -> Self {
        let probes = [1, 999_999_999, 1_000_000_000, 86_400_123_456_789];
        let reliable = probes.iter().all(|&apart| {
            let later = epoch.checked_add(Duration::from_nanos(apart));
            later.is_some_and(|later| hear(later).wrapping_sub(hear(epoch)) == apart)
        });
        Self {
            epoch,
            heard: reliable.then(|| hear(epoch)),
        }
    }

    #[inline]
    fn read(self, now: Instant) -> Nanos {
        match self.heard {
            // A clock does not go back, but a reading may be older than the epoch of a circuit made since.
            Some(epoch) => hear(now).saturating_sub(epoch),
            None => nanos(now.saturating_duration_since(self.epoch)),
        }
    }
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
        let stopwatch = Stopwatch::new(epoch);
        #[cfg(target_os = "linux")]
        assert!(stopwatch.heard.is_some(), "hearing works where services run");
        let deaf = Stopwatch {
            heard: None,
            ..stopwatch
        };
        for step in [1, 7, 1_000_000, 999_999_999, 3_600_000_000_001] {
            tokio::time::advance(Duration::from_nanos(step)).await;
            let now = Instant::now();
            assert_eq!(stopwatch.read(now), deaf.read(now));
        }
        assert_eq!(stopwatch.read(epoch), 0);
    }

    #[test]
    fn a_reading_from_before_the_epoch_is_zero() {
        let before = Instant::now();
        let stopwatch = Stopwatch::new(before + Duration::from_secs(5));
        assert_eq!(stopwatch.read(before), 0);
    }
}
