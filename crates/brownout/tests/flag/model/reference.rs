//! The model: what the documentation says of a flag, written as slowly and obviously as possible.
//!
//! Times are in milliseconds.

use brownout::{
    core::Verdict,
    registry::{DegradationLevel, FeatureState, OverrideId},
};

pub(super) type Millis = u64;

#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) errors: u32,
    pub(super) min_ratio: f64,
    /// A twelfth of the window.
    pub(super) bucket: Millis,
    pub(super) ttl: Millis,
    pub(super) ttl_at_most: Millis,
    pub(super) ramp: Option<Millis>,
    pub(super) degrade_at: Option<DegradationLevel>,
    pub(super) disable_at: Option<DegradationLevel>,
}

/// An order of an operator: its value, when it ends, its id.
pub(super) type Orders<T> = Vec<(T, Millis, OverrideId)>;

/// Successes of a stretch of time, over which they are spread evenly.
struct Stretch {
    from: Millis,
    to: Millis,
    successes: u64,
}

pub(super) struct Model {
    pub(super) rules: Rules,
    pub(super) now: Millis,
    pub(super) configured: FeatureState,
    pub(super) states: Orders<FeatureState>,
    pub(super) levels: Orders<DegradationLevel>,
    pub(super) generation: u64,
    /// The later end of the flag's own errors and the fleet's.
    pub(super) degraded_until: Option<Millis>,
    /// Until when its own errors degrade it, or did.
    own_until: Millis,
    /// Until when the fleet degrades it, or did.
    fleet_until: Millis,
    pub(super) ramps_until: Millis,
    trips: u32,
    failures: Vec<Millis>,
    stretches: Vec<Stretch>,
    /// Successes since somebody last looked at the clock, and when that was.
    undated: u64,
    looked: Millis,
    /// Successes that were counted in all.
    counted: u64,
}

impl Model {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            now: 0,
            configured: FeatureState::Enabled,
            states: Vec::new(),
            levels: Vec::new(),
            generation: 0,
            degraded_until: None,
            own_until: 0,
            fleet_until: 0,
            ramps_until: 0,
            trips: 0,
            failures: Vec::new(),
            stretches: Vec::new(),
            undated: 0,
            looked: 0,
            counted: 0,
        }
    }

    pub(super) fn advance(&mut self, by: Millis) {
        self.now += by;
        let now = self.now;
        self.states.retain(|(_, until, _)| *until > now);
        self.levels.retain(|(_, until, _)| *until > now);
        if let Some(until) = self.degraded_until.filter(|until| *until <= now) {
            self.come_back(until);
        }
    }

    fn come_back(&mut self, at: Millis) {
        self.degraded_until = None;
        self.ramps_until = at + self.rules.ramp.unwrap_or(0);
        self.generation += 1;
        self.forget();
    }

    /// The fleet degrades the flag for so long, unless it does already.
    pub(super) fn fleet_trips(&mut self, ttl: Millis) {
        if self.fleet_until > self.now {
            return;
        }
        self.fleet_until = self.now + ttl;
        match &mut self.degraded_until {
            Some(until) => *until = self.fleet_until.max(self.own_until),
            None => self.degrade(self.fleet_until),
        }
    }

    /// The fleet is left.
    pub(super) fn leave(&mut self) {
        self.fleet_until = 0;
        if self.degraded_until.is_none() {
            return;
        }
        if self.own_until > self.now {
            self.degraded_until = Some(self.own_until);
        } else {
            self.come_back(self.now);
        }
    }

    pub(super) fn imposed(&self) -> Option<FeatureState> {
        self.states.last().map(|(state, ..)| *state)
    }

    pub(super) fn state(&self) -> FeatureState {
        let level = self
            .levels
            .last()
            .map_or(DegradationLevel::Full, |(level, ..)| *level);
        let reached = |gate: Option<DegradationLevel>| gate.is_some_and(|gate| level >= gate);
        let mut state = self.configured;
        if self.degraded_until.is_some() || reached(self.rules.degrade_at) {
            state = state.max(FeatureState::Degraded);
        }
        if reached(self.rules.disable_at) {
            state = FeatureState::Disabled;
        }
        self.imposed().unwrap_or(state)
    }

    /// Whether a call is let in; nobody knows of each while a ramp lasts.
    pub(super) fn lets_in(&self) -> Option<bool> {
        match self.state() {
            FeatureState::Enabled if self.imposed().is_some() => Some(true),
            FeatureState::Enabled if self.now < self.ramps_until => None,
            state => Some(state == FeatureState::Enabled),
        }
    }

    pub(super) fn settle(&mut self, generation: u64, verdict: Verdict) {
        if generation != self.generation {
            return;
        }
        match verdict {
            Verdict::Success => {
                self.undated += 1;
                self.counted += 1;
                // One in 64 looks at the clock, and dates the others if a sub-bucket has begun.
                if self.counted.is_multiple_of(64)
                    && self.bucket(self.now) > self.bucket(self.looked)
                {
                    self.look();
                }
            }
            Verdict::Failure | Verdict::Trip { .. } if self.degraded_until.is_none() => {
                self.look();
                self.failures.push(self.now);
                let (failures, calls) = self.held();
                let enough = failures >= u64::from(self.rules.errors);
                #[allow(clippy::cast_precision_loss, reason = "the numbers are small")]
                let share = failures as f64 / calls as f64;
                if enough && share >= self.rules.min_ratio {
                    self.trip();
                }
            }
            _ => {}
        }
    }

    fn trip(&mut self) {
        self.heal();
        let doubled = self.rules.ttl.saturating_mul(1 << self.trips.min(30));
        self.own_until = self.now + doubled.min(self.rules.ttl_at_most);
        self.degrade(self.own_until);
    }

    fn heal(&mut self) {
        if self.now >= self.ramps_until + self.rules.bucket * 12 {
            self.trips = 0;
        }
    }

    fn degrade(&mut self, until: Millis) {
        self.heal();
        self.degraded_until = Some(until);
        self.trips += 1;
        self.generation += 1;
        self.forget();
    }

    fn forget(&mut self) {
        self.failures.clear();
        self.stretches.clear();
        self.undated = 0;
        self.looked = self.now;
    }

    pub(super) fn look(&mut self) {
        self.stretches.push(Stretch {
            from: self.looked,
            to: self.now,
            successes: std::mem::take(&mut self.undated),
        });
        self.looked = self.now;
    }

    fn bucket(&self, time: Millis) -> u64 {
        time / self.rules.bucket
    }

    /// Failures and calls in the present sub-bucket and the eleven before.
    pub(super) fn held(&self) -> (u64, u64) {
        let begin = self.bucket(self.now).saturating_sub(11) * self.rules.bucket;
        let failures = self.failures.iter().filter(|time| **time >= begin).count() as u64;
        let successes: u64 = self
            .stretches
            .iter()
            .map(|stretch| match stretch {
                Stretch { to, .. } if *to < begin => 0,
                Stretch {
                    from, successes, ..
                } if *from >= begin => *successes,
                Stretch {
                    from,
                    to,
                    successes,
                } => successes - successes * (begin - from) / (to - from),
            })
            .sum();
        (failures, failures + successes)
    }
}
