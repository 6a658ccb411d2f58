//! How a family of keyed circuits reports on the one dependency behind them all.

use std::{collections::BTreeMap, fmt, time::Duration};

use brownout_registry::{CircuitState, Dependency, Report, Reporter, ReporterKind, Status};

use crate::core::{
    Ratio,
    sync::{Mutex, Ordering::Relaxed, lock, try_lock},
};

use super::{
    counts::Stripes,
    machine::{Nanos, Transition, forgotten},
    window::{BUCKETS, Baselines, TimeWindow},
};

/// Calls of the last ten seconds decide; fewer than twenty decide nothing.
const WINDOW: Duration = Duration::from_secs(10);
const MINIMUM: u32 = 20;

/// One dead key of many makes the dependency `Degraded`. It is `Unhealthy` when half of its recent calls were refused.
pub(super) struct Family {
    /// Says that some circuits are not closed.
    open: Reporter,
    /// Says that most calls are refused. Apart from the other, because it expires sooner.
    refusing: Reporter,
    /// Admitted calls count as successes, refused ones as failures.
    calls: Stripes,
    window: TimeWindow,
    state: Mutex<State>,
}

struct State {
    baselines: Baselines,
    /// How many circuits that are not closed are due at the same time. Less than none where the end of such a state is
    /// heard of before its beginning.
    due: BTreeMap<Nanos, i64>,
    /// Orders reports that race on their way to the registry.
    sequence: u64,
    reported_in: u64,
    /// How many are open, and half-open; less than none for the same reason as above.
    open: i64,
    half_open: i64,
}

/// What the two reporters say.
struct Reports {
    open: Report,
    refusing: Report,
}

impl Family {
    pub(super) fn new(dependency: &Dependency) -> Self {
        Self {
            open: dependency.reporter(ReporterKind::Circuit, "keyed circuit breakers"),
            refusing: dependency.reporter(ReporterKind::Circuit, "calls of keyed circuit breakers"),
            calls: Stripes::one(),
            window: TimeWindow::new(),
            state: Mutex::new(State {
                baselines: Baselines::new(),
                due: BTreeMap::new(),
                sequence: 0,
                reported_in: 0,
                open: 0,
                half_open: 0,
            }),
        }
    }

    /// Counts a call. While calls are refused, the report is renewed once a sub-bucket.
    pub(super) fn counted(&self, admitted: bool, now: Nanos) {
        let epoch = epoch(now);
        if epoch > self.window.epoch()
            && let Some(mut state) = try_lock(&self.state)
        {
            state
                .baselines
                .rotate(now, BUCKET, &self.window, &self.calls);
        }
        if admitted {
            self.calls.get(0).successes.fetch_add(1, Relaxed);
            return;
        }
        self.calls.get(0).failures.fetch_add(1, Relaxed);
        let renewed = try_lock(&self.state).and_then(|mut state| {
            let due = state.reported_in != epoch && !state.due.is_empty();
            due.then(|| self.next_reports(&mut state, now))
        });
        if let Some(reports) = renewed {
            self.report(reports);
        }
    }

    /// Counts what one of the circuits did.
    pub(super) fn count(&self, transitions: &[Transition]) {
        let mut state = lock(&self.state);
        for transition in transitions {
            state.move_one(transition.from, -1);
            state.move_one(transition.to, 1);
            if let Some(due) = transition.was_until {
                state.count(due, -1);
            }
            if transition.to != CircuitState::Closed {
                state.count(transition.until, 1);
            }
        }
    }

    /// The worst state that any of the circuits is in: open, then half-open.
    pub(super) fn worst(&self) -> CircuitState {
        let state = lock(&self.state);
        if state.open > 0 {
            CircuitState::Open
        } else if state.half_open > 0 {
            CircuitState::HalfOpen
        } else {
            CircuitState::Closed
        }
    }

    /// Reports what was counted.
    pub(super) fn renew(&self, now: Nanos) {
        let reports = self.next_reports(&mut lock(&self.state), now);
        self.report(reports);
    }

    fn next_reports(&self, state: &mut State, now: Nanos) -> Reports {
        state
            .baselines
            .rotate(now, BUCKET, &self.window, &self.calls);
        state.reported_in = epoch(now);
        state.sequence += 1;
        let held = self.window.held(&self.calls, false);
        let refusing =
            held.calls() >= MINIMUM && Ratio::HALF.reached_by(held.failures, held.calls());
        // Both expire: without calls to renew them, they say nothing any more.
        let open = state.open_for(now).map_or(Report::healthy(), |left| {
            Report::degraded("some circuits are open").ttl(left)
        });
        let refusing = if refusing && open.status() != Status::Healthy {
            Report::unhealthy("most calls are refused by open circuits").ttl(WINDOW)
        } else {
            Report::healthy()
        };
        Reports {
            open: open.sequence(state.sequence),
            refusing: refusing.sequence(state.sequence),
        }
    }

    fn report(&self, reports: Reports) {
        self.open.report(reports.open);
        self.refusing.report(reports.refusing);
    }
}

impl State {
    fn move_one(&mut self, state: CircuitState, change: i64) {
        match state {
            CircuitState::Closed => {}
            CircuitState::Open => self.open += change,
            CircuitState::HalfOpen => self.half_open += change,
        }
    }

    fn count(&mut self, due: Nanos, change: i64) {
        let circuits = self.due.entry(due).or_default();
        *circuits += change;
        if *circuits == 0 {
            self.due.remove(&due);
        }
    }

    /// For how long some circuit is not closed if nobody calls: a circuit long overdue no longer counts.
    fn open_for(&self, now: Nanos) -> Option<Duration> {
        let (due, _) = self.due.iter().rev().find(|(_, circuits)| **circuits > 0)?;
        let left = forgotten(*due).saturating_sub(now);
        (left > 0).then(|| Duration::from_nanos(left))
    }
}

const BUCKET: Nanos = WINDOW.as_secs() * 1_000_000_000 / BUCKETS as u64;

fn epoch(now: Nanos) -> u64 {
    now / BUCKET
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").finish_non_exhaustive()
    }
}
