//! What the circuits of one handle have counted, for whoever exports it: in sum, never by key.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use brownout_registry::{CircuitState, Counted, Dependency, Meter, Readings};

use crate::core::{RejectReason, Verdict, tally::Tally, threads};

use super::{
    durations::Durations,
    machine::{Nanos, Transition},
    shared::{Core, Shared},
    stats::Totals,
    voice::Voice,
};

/// The layer's name among those that count calls.
const LAYER: &str = "breaker";

/// How many threads count without sharing a cache line.
const LINES: usize = 8;

/// Counts that no circuit needs to decide by.
pub(super) struct Metering {
    transitions: Tally<(CircuitState, CircuitState, &'static str), 32>,
    lines: Box<[Line]>,
    /// Made when somebody wants to know how long calls take.
    durations: OnceLock<Durations>,
}

/// Counts of some threads, on cache lines of their own.
#[derive(Default)]
#[repr(align(128))]
struct Line {
    /// By reason, in the order of [`REASONS`].
    refused: [AtomicU64; REASONS.len()],
    /// Of keyed circuits only: a circuit's own counts go when it makes room, and there may be very many.
    successes: AtomicU64,
    failures: AtomicU64,
    neutral: AtomicU64,
    abandoned: AtomicU64,
}

const REASONS: [RejectReason; 5] = [
    RejectReason::CircuitOpen,
    RejectReason::CircuitHalfOpen,
    RejectReason::CircuitRamping,
    RejectReason::CircuitForcedOpen,
    RejectReason::NotReady,
];

impl Metering {
    pub(super) fn new() -> Self {
        Self {
            transitions: Tally::new(),
            lines: (0..LINES).map(|_| Line::default()).collect(),
            durations: OnceLock::new(),
        }
    }

    pub(super) fn moved(&self, transition: &Transition) {
        let Transition {
            from, to, cause, ..
        } = *transition;
        self.transitions.add((from, to, cause.as_str()));
    }

    /// A call was refused. What a lone circuit refuses while it is open is counted in its totals, and only there: it is
    /// the one refusal that has to be cheap.
    pub(super) fn refused(&self, reason: RejectReason) {
        if let Some(place) = REASONS.iter().position(|known| *known == reason) {
            self.line().refused[place].fetch_add(1, Relaxed);
        }
    }

    /// A call of a keyed circuit was judged.
    pub(super) fn judged(&self, verdict: Verdict) {
        let line = self.line();
        let counter = match verdict {
            Verdict::Success => &line.successes,
            Verdict::Failure | Verdict::Trip { .. } => &line.failures,
            Verdict::Neutral => &line.neutral,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// A call of a keyed circuit was abandoned.
    pub(super) fn abandoned(&self) {
        self.line().abandoned.fetch_add(1, Relaxed);
    }

    /// Notes how long a call took.
    #[inline]
    pub(super) fn took(&self, time: Nanos) {
        if let Some(durations) = self.durations.get() {
            durations.add(time);
        }
    }

    /// Whether somebody wants to know how long calls take.
    pub(super) fn times_calls(&self) -> bool {
        self.durations.get().is_some()
    }

    fn time_calls(&self) {
        self.durations.get_or_init(Durations::new);
    }

    fn line(&self) -> &Line {
        &self.lines[threads::number() % LINES]
    }

    fn sum(&self, counter: fn(&Line) -> &AtomicU64) -> u64 {
        let counts = self.lines.iter().map(|line| counter(line).load(Relaxed));
        counts.sum()
    }

    fn refusals(&self, place: usize) -> u64 {
        let refused = |line: &Line| line.refused[place].load(Relaxed);
        self.lines.iter().map(refused).sum()
    }

    /// What keyed circuits have counted together.
    fn totals(&self) -> Totals {
        Totals {
            successes: self.sum(|line| &line.successes),
            failures: self.sum(|line| &line.failures),
            slow: 0,
            neutral: self.sum(|line| &line.neutral),
            abandoned: self.sum(|line| &line.abandoned),
            rejected: (0..4).map(|place| self.refusals(place)).sum(),
        }
    }

    fn read(&self, dependency: &Dependency, totals: Totals, readings: &mut Readings) {
        let name = || dependency.shared_name();
        let outcomes = [
            ("success", totals.successes),
            ("failure", totals.failures),
            ("neutral", totals.neutral),
            ("abandoned", totals.abandoned),
            ("rejected", totals.rejected + self.refusals(4)),
        ];
        for (outcome, count) in outcomes {
            let (dependency, layer) = (name(), LAYER);
            let calls = Counted::Calls {
                dependency,
                layer,
                outcome,
            };
            readings.count(calls, count);
        }
        let otherwise = (1..4).map(|place| self.refusals(place)).sum();
        for (place, reason) in REASONS.iter().enumerate() {
            let count = match place {
                0 => totals.rejected.saturating_sub(otherwise),
                _ => self.refusals(place),
            };
            let (dependency, cause) = (name(), reason.as_str());
            readings.count(Counted::Rejections { dependency, cause }, count);
        }
        for ((from, to, cause), count) in self.transitions.iter() {
            let transitions = Counted::Transitions {
                dependency: name(),
                from: from.as_str(),
                to: to.as_str(),
                cause,
            };
            readings.count(transitions, count);
        }
        let durations = self.durations.get().into_iter().flat_map(Durations::held);
        for (about, count) in durations {
            let lasting = Counted::Lasting {
                dependency: name(),
                layer: LAYER,
                about: Duration::from_nanos(about),
            };
            readings.count(lasting, count);
        }
    }
}

/// A lone circuit.
impl Meter for Core {
    fn read(&self, readings: &mut Readings) {
        let Shared {
            dependency,
            metering,
            ..
        } = &*self.shared;
        metering.read(dependency, self.engine.totals(), readings);
        readings.circuit(dependency.shared_name(), self.engine.resting_state());
    }

    fn time_calls(&self) {
        self.shared.metering.time_calls();
        self.engine.take_times();
    }
}

/// A family of keyed circuits.
impl Meter for Shared {
    fn read(&self, readings: &mut Readings) {
        let totals = self.metering.totals();
        self.metering.read(&self.dependency, totals, readings);
        if let Voice::Family(family) = &self.voice {
            readings.circuit(self.dependency.shared_name(), family.worst());
        }
    }

    fn time_calls(&self) {
        self.metering.time_calls();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if self.key.is_none() {
            self.shared.dependency.registry().retire_meter(self);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Voice::Family(_) = self.voice {
            self.dependency.registry().retire_meter(self);
        }
    }
}
