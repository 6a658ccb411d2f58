//! Random numbers that a simulation can replay.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A small, seedable, lock-free random number generator, for jitter and sampling (not for secrets).
///
/// It is `SplitMix64`: a Weyl sequence (an atomic counter with an odd step) behind a mixing function (Steele, Lea and
/// Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014). One generator can serve many threads; with
/// one thread, the same seed gives the same numbers.
///
/// ```
/// use brownout_registry::Random;
///
/// let (one, other) = (Random::from_seed(7), Random::from_seed(7));
/// assert_eq!(one.next_u64(), other.next_u64());
/// assert!((0.0..1.0).contains(&one.unit()));
/// ```
#[derive(Debug)]
pub struct Random {
    state: AtomicU64,
}

/// 2^64 divided by the golden ratio, made odd: the step that spreads a Weyl sequence best.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// A generator that always yields the same numbers for the same seed.
    pub const fn from_seed(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
        }
    }

    /// A generator with a seed from the operating system (through the standard library's hash keys).
    pub fn from_entropy() -> Self {
        Self::from_seed(RandomState::new().build_hasher().finish())
    }

    /// The next 64 random bits.
    #[inline]
    pub fn next_u64(&self) -> u64 {
        // Relaxed: only the uniqueness of each step matters, nothing is published through it.
        let weyl = self
            .state
            .fetch_add(STEP, Ordering::Relaxed)
            .wrapping_add(STEP);
        let mixed = (weyl ^ (weyl >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `[0, 1)`, evenly spread.
    #[inline]
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    pub fn unit(&self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The duration, changed by up to `ratio` of itself in either direction, evenly spread.
    ///
    /// A ratio outside `[0, 1]` counts as the nearer end, one that is not a number as 0.
    pub fn jitter(&self, duration: Duration, ratio: f64) -> Duration {
        let ratio = if ratio.is_nan() {
            0.0
        } else {
            ratio.clamp(0.0, 1.0)
        };
        if ratio == 0.0 {
            return duration;
        }
        let factor = (self.unit() * 2.0 - 1.0).mul_add(ratio, 1.0);
        Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(duration)
    }

    /// A generator of its own for a part of the system, seeded from this one.
    pub fn child(&self) -> Self {
        Self::from_seed(self.next_u64())
    }
}
