//! Time as a number, cheaply.
//!
//! Layers and reports read the clock on every call, and there turning an `Instant` into a number by subtraction costs
//! more than the reading itself. The standard library has no other way, except that an `Instant` hashes: what it feeds
//! to a hasher are its seconds and nanoseconds. [`Ticks`] listens to that, having first made sure, when it was made,
//! that on this platform it hears what it expects; where it does not, it subtracts.

use std::{
    hash::{Hash, Hasher},
    sync::OnceLock,
    time::Duration,
};

use tokio::time::Instant;

/// Nanoseconds since an epoch, on tokio's clock. For the crates of this project only: its interface may change with
/// any release.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    kind: Kind,
    /// What `kind` makes of it. Shorter than an `Instant`: there may be very many clocks.
    epoch: u64,
}

/// How an `Instant` becomes a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Kind {
    /// By its hash.
    Listening,
    /// By its distance from [`ORIGIN`].
    Subtracting,
}

impl Ticks {
    /// Counts from the given moment on.
    pub fn since(epoch: Instant) -> Self {
        let tries = [1, 999_999_999, 1_000_000_000, 86_400_123_456_789];
        let reliable = tries.iter().all(|&apart| {
            let later = epoch.checked_add(Duration::from_nanos(apart));
            later.is_some_and(|later| hear(later).wrapping_sub(hear(epoch)) == apart)
        });
        if reliable {
            Self {
                kind: Kind::Listening,
                epoch: hear(epoch),
            }
        } else {
            Self::subtracting(epoch)
        }
    }

    fn subtracting(epoch: Instant) -> Self {
        Self {
            kind: Kind::Subtracting,
            epoch: since_origin(epoch),
        }
    }

    /// Nanoseconds since the epoch; 0 before it.
    #[inline]
    pub fn now(&self) -> u64 {
        if self.listens() {
            self.heard()
        } else {
            self.subtracted()
        }
    }

    /// Whether [`heard`](Self::heard) tells the time here.
    #[inline]
    pub fn listens(&self) -> bool {
        self.kind == Kind::Listening
    }

    /// What [`now`](Self::now) says where this [listens](Self::listens).
    #[inline]
    pub fn heard(&self) -> u64 {
        // A clock does not go back, but a reading may be older than an epoch taken since, and threads may read two: a
        // paused one and a real one.
        hear(Instant::now()).saturating_sub(self.epoch)
    }

    #[cold]
    fn subtracted(&self) -> u64 {
        since_origin(Instant::now()).saturating_sub(self.epoch)
    }
}

/// Some moment, the same for all clocks.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

fn since_origin(instant: Instant) -> u64 {
    let origin = *ORIGIN.get_or_init(|| instant);
    // Not below zero, whatever was asked for first: the origin itself stands at the middle of all times.
    let after = nanos(instant.saturating_duration_since(origin));
    let before = nanos(origin.saturating_duration_since(instant));
    (u64::MAX / 2).saturating_add(after).saturating_sub(before)
}

/// 64 bits of them last for 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
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
        let epoch = Instant::now();
        let (heard, subtracted) = (Ticks::since(epoch), Ticks::subtracting(epoch));
        #[cfg(target_os = "linux")]
        assert!(heard.listens(), "hearing works where services run");
        assert!(!subtracted.listens());
        let mut passed = 0;
        for step in [0, 1, 7, 1_000_000, 999_999_999, 3_600_000_000_001] {
            tokio::time::advance(Duration::from_nanos(step)).await;
            passed += step;
            assert_eq!(heard.now(), passed);
            assert_eq!(subtracted.now(), passed);
        }
    }

    #[test]
    fn a_reading_from_before_the_epoch_is_zero() {
        let epoch = Instant::now() + Duration::from_secs(5);
        for ticks in [Ticks::since(epoch), Ticks::subtracting(epoch)] {
            assert_eq!(ticks.now(), 0);
        }
    }
}
