//! How a family of keyed circuits reports on the one dependency behind them all.

use std::{fmt, time::Duration};

use brownout_registry::{CircuitState, Dependency, Report, Reporter, ReporterKind, Status};

use crate::core::{
    Ratio,
    sync::{Mutex, Ordering::Relaxed, lock, try_lock},
};

use super::{
    counts::Stripes,
    machine::{Nanos, Transition},
    window::{BUCKETS, Baselines, TimeWindow},
};

/// Calls of the last ten seconds decide; fewer than twenty decide nothing.
const WINDOW: Duration = Duration::from_secs(10);
const MINIMUM: u32 = 20;

/// One dead key of many makes the dependency `Degraded`. It is `Unhealthy` when half of its recent calls were refused.
pub(super) struct Family {
    reporter: Reporter,
    /// Admitted calls count as successes, refused ones as failures.
    calls: Stripes,
    window: TimeWindow,
    state: Mutex<State>,
}

struct State {
    baselines: Baselines,
    /// Keys whose circuit is not closed.
    open: i64,
    /// Orders reports that race on their way to the registry.
    sequence: u64,
    reported_in: u64,
}

impl Family {
    pub(super) fn new(dependency: &Dependency) -> Self {
        Self {
            reporter: dependency.reporter(ReporterKind::Circuit, "keyed circuit breakers"),
            calls: Stripes::one(),
            window: TimeWindow::new(),
            state: Mutex::new(State {
                baselines: Baselines::new(),
                open: 0,
                sequence: 0,
                reported_in: 0,
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
            let due = state.reported_in != epoch && state.open > 0;
            due.then(|| self.next_report(&mut state, now))
        });
        if let Some(report) = renewed {
            self.reporter.report(report);
        }
    }

    /// One of the circuits changed its state.
    pub(super) fn moved(&self, transition: &Transition, now: Nanos) {
        let report = {
            let mut state = lock(&self.state);
            match (transition.from, transition.to) {
                (CircuitState::Closed, _) => state.open += 1,
                (_, CircuitState::Closed) => state.open -= 1,
                _ => {}
            }
            self.next_report(&mut state, now)
        };
        self.reporter.report(report);
    }

    fn next_report(&self, state: &mut State, now: Nanos) -> Report {
        state
            .baselines
            .rotate(now, BUCKET, &self.window, &self.calls);
        state.reported_in = epoch(now);
        state.sequence += 1;
        let held = self.window.held(&self.calls, false);
        let report = if state.open <= 0 {
            Report::healthy()
        } else if held.calls() >= MINIMUM && Ratio::HALF.reached_by(held.failures, held.calls()) {
            // Without traffic to renew it, this says nothing any more.
            Report::unhealthy("most calls are refused by open circuits")
                .ttl(WINDOW)
                .then(Status::Degraded)
        } else {
            Report::degraded("some circuits are open")
        };
        report.sequence(state.sequence)
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
