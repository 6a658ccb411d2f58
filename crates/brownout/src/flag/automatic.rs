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
    /// Until when the flag's own errors degrade it, or did.
    own: Nanos,
    /// Until when those of the whole fleet do, or did.
    fleet: Nanos,
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
            own: 0,
            fleet: 0,
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

    /// Whether it is degraded for the fleet's errors, and would not be for its own.
    pub(super) fn is_by_fleet(&self) -> bool {
        matches!(self.course, Course::Tripped { .. }) && self.fleet > self.own
    }

    /// How many trips have followed one another so far, if the next one came now.
    pub(super) fn trips(&self, now: Nanos, settings: &Settings) -> u32 {
        // While it ramps, the healthy spell has not begun.
        if now.saturating_sub(self.healthy_since) >= nanos(settings.window) {
            0
        } else {
            self.trips
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
        let trips = self.trips(now, settings);
        self.own = now.saturating_add(settings.degraded_for(trips, draw));
        self.begin(trips);
    }

    /// Takes until when the fleet degrades the flag, if it does: a trip like its own, which the fleet may also take back.
    /// Advance before. Says whether a new generation has begun.
    pub(super) fn follow(&mut self, fleet: Option<Nanos>, now: Nanos, settings: &Settings) -> bool {
        let fleet = fleet.unwrap_or(0);
        if fleet == self.fleet {
            return false;
        }
        self.fleet = fleet;
        if let Course::Tripped { .. } = self.course {
            // What is taken back ends now, not in the past.
            let until = self.own.max(fleet).max(now);
            self.course = Course::Tripped { until };
            self.advance(now, settings)
        } else if fleet > now {
            self.begin(self.trips(now, settings));
            true
        } else {
            false
        }
    }

    fn begin(&mut self, trips: u32) {
        self.trips = trips.saturating_add(1);
        self.generation += 1;
        let until = self.own.max(self.fleet);
        self.course = Course::Tripped { until };
    }
}
