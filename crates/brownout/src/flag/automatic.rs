//! What a flag does by itself: a pure state machine over `now`, without clocks, locks or I/O.
//!
//! Time passes lazily: [`Automatic::advance`] catches up with every deadline that has passed, at the time of that
//! deadline, so that a flag nobody asked for an hour is where a prompt one would be.

use brownout_registry::FeatureState;

use super::settings::{Nanos, Settings, nanos};

#[derive(Clone, Debug)]
pub(super) struct Automatic {
    course: Course,
    generation: u64,
    /// Trips since the last healthy spell.
    trips: u32,
    /// When the last ramp ends or ended.
    healthy_since: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// All calls reach the service.
    Clear,
    /// None does: too many have failed.
    Tripped { until: Nanos },
    /// A growing share does.
    Ramping { until: Nanos },
}

impl Automatic {
    pub(super) fn new() -> Self {
        Self {
            course: Course::Clear,
            generation: 0,
            trips: 0,
            healthy_since: 0,
        }
    }

    pub(super) fn course(&self) -> Course {
        self.course
    }

    pub(super) fn state(&self) -> FeatureState {
        match self.course {
            Course::Tripped { .. } => FeatureState::Degraded,
            Course::Clear | Course::Ramping { .. } => FeatureState::Enabled,
        }
    }

    /// Outcomes of an earlier generation move nothing.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Catches up with the end of a time to live and of a ramp. Says whether a new generation has begun.
    pub(super) fn advance(&mut self, now: Nanos, settings: &Settings) -> bool {
        let generation = self.generation;
        if let Course::Tripped { until } = self.course
            && now >= until
        {
            self.generation += 1;
            self.healthy_since = until.saturating_add(settings.ramp());
            self.course = Course::Ramping {
                until: self.healthy_since,
            };
        }
        if let Course::Ramping { until } = self.course
            && now >= until
        {
            self.course = Course::Clear;
        }
        self.generation != generation
    }

    /// Degrades the flag. Advance before.
    pub(super) fn trip(&mut self, now: Nanos, settings: &Settings, draw: impl FnOnce() -> f64) {
        // While it ramps, the healthy spell has not begun.
        if now.saturating_sub(self.healthy_since) >= nanos(settings.window) {
            self.trips = 0;
        }
        let until = now.saturating_add(settings.degraded_for(self.trips, draw));
        self.trips = self.trips.saturating_add(1);
        self.generation += 1;
        self.course = Course::Tripped { until };
    }
}
