//! What the parts of a system have counted, for whoever exports it.
//!
//! Layers count anyway, where it costs them next to nothing, and their counts lie where they are written. A [`Meter`]
//! reads them when somebody asks. What a part that is gone had counted stays, so that totals never fall.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::caught::caught;
use crate::fleet::Count;
use crate::vocab::{CircuitState, FeatureState};

/// What a number of things is the number of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields are the labels of the metric that the variant's line describes"
)]
pub enum Counted {
    /// Calls that a layer has seen, by what came of them.
    Calls {
        dependency: Arc<str>,
        layer: &'static str,
        outcome: &'static str,
    },
    /// Calls that took about so long.
    Lasting {
        dependency: Arc<str>,
        layer: &'static str,
        about: Duration,
    },
    /// Calls that a guard has refused.
    Rejections {
        dependency: Arc<str>,
        cause: &'static str,
    },
    /// Transitions of circuits.
    Transitions {
        dependency: Arc<str>,
        from: &'static str,
        to: &'static str,
        cause: &'static str,
    },
    /// What tiers of a fallback chain were asked for, and what came of it.
    Fallbacks {
        dependency: Arc<str>,
        tier: &'static str,
        reason: &'static str,
        outcome: &'static str,
    },
    /// Changes of a flag's state.
    FlagChanges { flag: Arc<str>, cause: &'static str },
    /// Operations on the fleet's store that failed.
    StoreErrors { op: &'static str },
    /// Parts of an aggregate, by what became of them.
    Parts {
        aggregate: Arc<str>,
        part: Arc<str>,
        outcome: &'static str,
    },
}

/// A reading of all meters.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    counts: BTreeMap<Counted, u64>,
    circuits: BTreeMap<Arc<str>, CircuitState>,
    flags: BTreeMap<Arc<str>, FeatureState>,
    store_age: Option<Duration>,
}

/// Reads what one part of the system has counted.
pub trait Meter: Send + Sync {
    /// Adds what was counted since the part was made. Called with no lock held. What was added before a panic in here
    /// counts, and the panic goes no further.
    fn read(&self, readings: &mut Readings);

    /// Adds what a flag has counted since it was made, for a [fleet](crate::fleet) to add up, and what is too much.
    /// Called with no lock held.
    fn count(&self, _counts: &mut Vec<Count>) {}

    /// From now on somebody wants to know how long calls take.
    fn time_calls(&self) {}
}

/// The meters of one registry.
#[derive(Default)]
pub(crate) struct Meters(Mutex<Held>);

#[derive(Default)]
struct Held {
    meters: Vec<Weak<dyn Meter>>,
    /// What parts had counted that are gone.
    retired: Readings,
    /// The most that anybody was ever told.
    told: BTreeMap<Counted, u64>,
    timing: bool,
}

/// How many different counts are kept of parts that are gone, and of what was told. Far above what a registry's names and
/// a few words make, times of calls included.
const MOST_RETIRED: usize = 100_000;

impl Readings {
    /// Adds to a count. One of zero is known from then on: a series that begins at zero shows its first increase.
    pub fn count(&mut self, what: Counted, count: u64) {
        let total = self.counts.entry(what).or_default();
        *total = total.saturating_add(count);
    }

    /// Says how a circuit is. Of several on one dependency the worst counts: open, then half-open.
    pub fn circuit(&mut self, dependency: Arc<str>, state: CircuitState) {
        let worst = self.circuits.entry(dependency).or_insert(state);
        if badness(state) > badness(*worst) {
            *worst = state;
        }
    }

    /// Says how a flag is.
    pub fn flag(&mut self, flag: Arc<str>, state: FeatureState) {
        let worst = self.flags.entry(flag).or_insert(state);
        *worst = state.max(*worst);
    }

    /// Says how long ago this replica last knew that it holds what the fleet's store does.
    pub fn store_age(&mut self, age: Duration) {
        self.store_age = Some(age);
    }

    /// How long ago this replica last knew that it holds what the fleet's store does; none outside a fleet.
    pub fn sync_age(&self) -> Option<Duration> {
        self.store_age
    }

    /// Every count, in order.
    pub fn counts(&self) -> impl Iterator<Item = (&Counted, u64)> {
        self.counts.iter().map(|(what, count)| (what, *count))
    }

    /// Every dependency that has a circuit, and how the worst of them is.
    pub fn circuits(&self) -> impl Iterator<Item = (&Arc<str>, CircuitState)> {
        self.circuits.iter().map(|(name, state)| (name, *state))
    }

    /// Every flag, and how it is.
    pub fn flags(&self) -> impl Iterator<Item = (&Arc<str>, FeatureState)> {
        self.flags.iter().map(|(name, state)| (name, *state))
    }
}

impl Meters {
    pub(crate) fn attach<M: Meter + 'static>(&self, meter: &Arc<M>) {
        let mut held = self.lock();
        // Looked through only when the list would grow, so that attaching stays cheap however many have gone.
        if held.meters.len() == held.meters.capacity() {
            held.meters.retain(|meter| meter.strong_count() > 0);
        }
        let weak = Arc::downgrade(meter);
        held.meters.push(weak);
        let timing = held.timing;
        drop(held);
        if timing {
            meter.time_calls();
        }
    }

    pub(crate) fn retire(&self, meter: &dyn Meter) {
        let mut last = Readings::default();
        // Called from drops, out of which no panic should come.
        caught(|| meter.read(&mut last));
        let mut held = self.lock();
        for (what, count) in last.counts {
            let retired = &mut held.retired.counts;
            if retired.len() < MOST_RETIRED || retired.contains_key(&what) {
                let total = retired.entry(what).or_default();
                *total = total.saturating_add(count);
            }
        }
    }

    pub(crate) fn read(&self) -> Readings {
        let held = self.lock();
        let mut readings = held.retired.clone();
        let meters = live(&held.meters);
        drop(held);
        for meter in meters {
            // One that panics must not hide what all others have counted.
            caught(|| meter.read(&mut readings));
        }
        self.lock().tell(&mut readings);
        readings
    }

    /// What all flags have counted so far.
    pub(crate) fn counts(&self) -> Vec<Count> {
        let meters = live(&self.lock().meters);
        let mut counts = Vec::new();
        for meter in meters {
            caught(|| meter.count(&mut counts));
        }
        counts
    }

    pub(crate) fn time_calls(&self) {
        let mut held = self.lock();
        held.timing = true;
        let meters = live(&held.meters);
        drop(held);
        for meter in meters {
            caught(|| meter.time_calls());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Lets no total fall below what was told before. A part that is just about to go is read no longer, and has not
    /// handed over its counts yet; and of two readings at once, the older may be told last.
    fn tell(&mut self, readings: &mut Readings) {
        for (what, told) in &self.told {
            match readings.counts.get_mut(what) {
                Some(count) => *count = (*count).max(*told),
                None => readings.count(what.clone(), *told),
            }
        }
        for (what, count) in &readings.counts {
            if let Some(told) = self.told.get_mut(what) {
                *told = *count;
            } else if self.told.len() < MOST_RETIRED {
                self.told.insert(what.clone(), *count);
            }
        }
    }
}

fn live(meters: &[Weak<dyn Meter>]) -> Vec<Arc<dyn Meter>> {
    meters.iter().filter_map(Weak::upgrade).collect()
}

const fn badness(state: CircuitState) -> u8 {
    match state {
        CircuitState::Closed => 0,
        CircuitState::HalfOpen => 1,
        CircuitState::Open => 2,
    }
}
