//! From counts to series: the one place that knows both.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use brownout_registry::{
    CircuitState, Counted, DegradationLevel, FeatureState, Readings, Registry, Snapshot, Status,
};
use metrics::{Label, SharedString, counter, gauge, histogram};

use super::names;

/// What was handed over before, as far as the next collection needs it.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// How many calls of each length were recorded.
    lasting: BTreeMap<Counted, u64>,
    /// Whose gauges are to be cleared when they are gone.
    circuits: BTreeSet<Arc<str>>,
    flags: BTreeSet<Arc<str>>,
}

impl Series {
    pub(super) fn collect(&mut self, registry: &Registry) {
        names::describe();
        let readings = registry.readings();
        for (what, count) in readings.counts() {
            self.count(what, count);
        }
        self.circuits(&readings);
        self.flags(&readings);
        if let Some(age) = readings.sync_age() {
            gauge!(names::STORE_AGE).set(age.as_secs_f64());
        }
        system(&registry.snapshot());
    }

    fn count(&mut self, what: &Counted, count: u64) {
        if let Counted::Lasting {
            dependency,
            layer,
            about,
        } = what
        {
            let labels = vec![of("dependency", dependency), word("layer", layer)];
            let recorded = self.lasting.insert(what.clone(), count).unwrap_or(0);
            let new = usize::try_from(count.saturating_sub(recorded)).unwrap_or(usize::MAX);
            if new > 0 {
                histogram!(names::DURATION, labels).record_many(about.as_secs_f64(), new);
            }
        } else if let Some((name, labels)) = counter_of(what) {
            counter!(name, labels).absolute(count);
        }
    }

    fn circuits(&mut self, readings: &Readings) {
        let present: BTreeMap<_, _> = readings.circuits().collect();
        self.circuits
            .extend(present.keys().map(|name| Arc::clone(name)));
        for name in &self.circuits {
            let state = present.get(name).map(|state| state.as_str());
            let all = CircuitState::ALL.iter().map(|state| state.as_str());
            one_of(
                names::CIRCUIT_STATE,
                &of("dependency", name),
                "state",
                all,
                state,
            );
        }
    }

    fn flags(&mut self, readings: &Readings) {
        let present: BTreeMap<_, _> = readings.flags().collect();
        self.flags
            .extend(present.keys().map(|name| Arc::clone(name)));
        for name in &self.flags {
            let state = present.get(name).map(|state| state.as_str());
            let all = FeatureState::ALL.iter().map(|state| state.as_str());
            one_of(names::FLAG_STATE, &of("flag", name), "state", all, state);
        }
    }
}

/// The name and labels of a count that is a counter.
fn counter_of(what: &Counted) -> Option<(&'static str, Vec<Label>)> {
    Some(match what {
        Counted::Calls {
            dependency,
            layer,
            outcome,
        } => (
            names::CALLS,
            vec![
                of("dependency", dependency),
                word("layer", layer),
                word("outcome", outcome),
            ],
        ),
        Counted::Rejections { dependency, cause } => (
            names::REJECTIONS,
            vec![of("dependency", dependency), word("cause", cause)],
        ),
        Counted::Transitions {
            dependency,
            from,
            to,
            cause,
        } => (
            names::TRANSITIONS,
            vec![
                of("dependency", dependency),
                word("from", from),
                word("to", to),
                word("cause", cause),
            ],
        ),
        Counted::Fallbacks {
            dependency,
            tier,
            reason,
            outcome,
        } => (
            names::FALLBACK,
            vec![
                of("dependency", dependency),
                word("tier", tier),
                word("reason", reason),
                word("outcome", outcome),
            ],
        ),
        Counted::FlagChanges { flag, cause } => (
            names::FLAG_CHANGES,
            vec![of("flag", flag), word("cause", cause)],
        ),
        Counted::StoreErrors { op } => (names::STORE_ERRORS, vec![word("op", op)]),
        Counted::Parts {
            aggregate,
            part,
            outcome,
        } => (
            names::PARTS,
            vec![
                of("aggregate", aggregate),
                of("part", part),
                word("outcome", outcome),
            ],
        ),
        _ => return None,
    })
}

/// What the registry itself knows.
fn system(snapshot: &Snapshot) {
    for dependency in &snapshot.dependencies {
        let label = of("dependency", &dependency.name);
        let all = Status::ALL.iter().map(|status| status.as_str());
        let status = Some(dependency.status.as_str());
        one_of(names::STATUS, &label, "status", all, status);
    }
    let level = match snapshot.level {
        DegradationLevel::Full => 0.0,
        DegradationLevel::Reduced => 1.0,
        DegradationLevel::Minimal => 2.0,
        DegradationLevel::Emergency => 3.0,
    };
    gauge!(names::LEVEL).set(level);
    for kind in ["status", "circuit", "flag", "level"] {
        let of_kind = |order: &&brownout_registry::OverrideInfo| order.target.kind() == kind;
        let active = snapshot.overrides.iter().filter(of_kind).count();
        let active = u32::try_from(active).unwrap_or(u32::MAX);
        gauge!(names::OVERRIDES, vec![word("target", kind)]).set(f64::from(active));
    }
}

/// One series for each word, all of them each time: the new one is set and the old one cleared.
fn one_of(
    name: &'static str,
    whose: &Label,
    key: &'static str,
    all: impl Iterator<Item = &'static str>,
    present: Option<&'static str>,
) {
    for each in all {
        let value = if present == Some(each) { 1.0 } else { 0.0 };
        gauge!(name, vec![whose.clone(), word(key, each)]).set(value);
    }
}

fn of(key: &'static str, name: &Arc<str>) -> Label {
    Label::new(key, SharedString::from(Arc::clone(name)))
}

fn word(key: &'static str, word: &'static str) -> Label {
    Label::from_static_parts(key, word)
}
