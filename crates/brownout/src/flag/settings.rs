use std::time::Duration;

use brownout_registry::{DegradationLevel, FeatureState};

use crate::core::Ratio;

/// Nanoseconds since the flag was made.
pub(super) type Nanos = u64;

/// How a flag behaves. Built, and checked, by [`FlagBuilder`](super::FlagBuilder).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) errors: u32,
    pub(super) window: Duration,
    pub(super) min_ratio: Ratio,
    pub(super) ttl: Duration,
    pub(super) ttl_at_most: Duration,
    pub(super) jitter: Ratio,
    pub(super) ramp: Option<Duration>,
    pub(super) degrade_at: Option<DegradationLevel>,
    pub(super) disable_at: Option<DegradationLevel>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            errors: 5,
            window: Duration::from_mins(1),
            min_ratio: Ratio::from_billionths(50_000_000),
            ttl: Duration::from_mins(5),
            ttl_at_most: Duration::from_hours(1),
            jitter: Ratio::from_billionths(200_000_000),
            ramp: Some(Duration::from_secs(30)),
            degrade_at: None,
            disable_at: None,
        }
    }
}

impl Settings {
    /// Whether the system's level has a say.
    pub(super) fn is_gated(&self) -> bool {
        self.degrade_at.is_some() || self.disable_at.is_some()
    }

    /// What the system's level asks of the flag.
    pub(super) fn gate(&self, level: DegradationLevel) -> FeatureState {
        let reached = |gate: Option<DegradationLevel>| gate.is_some_and(|gate| level >= gate);
        if reached(self.disable_at) {
            FeatureState::Disabled
        } else if reached(self.degrade_at) {
            FeatureState::Degraded
        } else {
            FeatureState::Enabled
        }
    }

    /// For how long the flag degrades after so many trips that followed one another.
    pub(super) fn degraded_for(&self, trips: u32, draw: impl FnOnce() -> f64) -> Nanos {
        let doubled = 2_u32
            .checked_pow(trips)
            .and_then(|factor| self.ttl.checked_mul(factor));
        let length = doubled.map_or(self.ttl_at_most, |length| length.min(self.ttl_at_most));
        let spread = self.jitter.get() * 2.0_f64.mul_add(draw(), -1.0);
        // Even with full jitter the flag degrades for a moment.
        nanos(length.mul_f64(1.0 + spread)).max(1_000_000)
    }

    pub(super) fn ramp(&self) -> Nanos {
        self.ramp.map_or(0, nanos)
    }

    /// The share of calls that is let in so long before the ramp ends.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share needs no more than 52 bits"
    )]
    pub(super) fn ramp_share(&self, left: Nanos) -> f64 {
        /// Else the first calls would all be turned away.
        const FLOOR: f64 = 0.1;
        (1.0 - left as f64 / self.ramp().max(1) as f64).max(FLOOR)
    }
}

pub(super) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
