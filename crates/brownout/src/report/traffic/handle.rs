use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use brownout_registry::{Dependency, Reporter, ReporterKind, Status};
use tokio::time::Instant;

use crate::core::Verdict;

use super::{builder::TrafficBuilder, judge::Rules, ticket::TrafficTicket, window::Window};

/// What the calls of a dependency say of it; clones see the same calls.
///
/// [`ReportLayer`](super::ReportLayer) feeds it. Code that is no tower service takes a [ticket](Self::begin) for each
/// call itself. When the last clone is dropped, so is what it reported.
#[derive(Clone)]
pub struct Traffic(Arc<Shared>);

pub(super) struct Shared {
    rules: Rules,
    window: Window,
    reporter: Reporter,
    epoch: Instant,
    /// When to look again, though nothing has failed.
    due: AtomicU64,
    /// The number of the last look that reported anything, and what: in the low three bits, 1 + the status.
    said: AtomicU64,
    /// When that will have expired, if it was bad.
    until: AtomicU64,
}

/// What a [`Traffic`] has seen within its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrafficStats {
    /// Calls that succeeded or failed. Neutral and abandoned ones say nothing.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that took longer than [`slow_calls`](TrafficBuilder::slow_calls) says.
    pub slow: u64,
    /// How long successes took in the mean, up to the head of the answer.
    pub mean_latency: Option<Duration>,
}

impl Traffic {
    /// With the [defaults](TrafficBuilder).
    pub fn new(dependency: &Dependency) -> Self {
        Self::with(dependency, TrafficBuilder::defaults())
    }

    /// Configures one.
    pub fn builder(dependency: &Dependency) -> TrafficBuilder {
        TrafficBuilder::new(dependency.clone())
    }

    pub(super) fn with(dependency: &Dependency, rules: Rules) -> Self {
        Self(Arc::new(Shared {
            window: Window::new(rules.window),
            rules,
            reporter: dependency.reporter(ReporterKind::Traffic, "traffic"),
            epoch: Instant::now(),
            due: AtomicU64::new(0),
            said: AtomicU64::new(0),
            until: AtomicU64::new(0),
        }))
    }

    /// A call begins.
    pub fn begin(&self) -> TrafficTicket {
        TrafficTicket::new(Arc::clone(&self.0))
    }

    /// What it has seen within its window.
    pub fn stats(&self) -> TrafficStats {
        let held = self.0.window.held(self.0.nanos(Instant::now()));
        TrafficStats {
            calls: held.calls,
            failures: held.failures,
            slow: held.slow,
            mean_latency: held.mean(),
        }
    }

    /// The dependency it reports on.
    pub fn dependency(&self) -> &Dependency {
        self.0.reporter.dependency()
    }

    /// The service failed to become ready: a failure without a call.
    #[cold]
    pub(super) fn failed_readiness(&self) {
        self.0
            .settle(Verdict::Failure, Instant::now(), Duration::ZERO);
    }
}

impl Shared {
    /// Counts a call that took so long, up to the head of its answer.
    pub(super) fn settle(&self, verdict: Verdict, now: Instant, took: Duration) {
        let now = self.nanos(now);
        match verdict {
            Verdict::Neutral => return,
            Verdict::Success => self.window.success(now, took),
            Verdict::Failure | Verdict::Trip { .. } => self.window.failure(now),
        }
        let is_slow = self.rules.slow.is_some_and(|(longest, _)| took > longest);
        if is_slow {
            self.window.slow(now);
        }
        let is_due = self.is_due(now);
        if is_due || ((verdict.is_failure() || is_slow) && !self.says(Status::Unhealthy, now)) {
            self.look(now, is_due);
        }
    }

    /// Whether it is time to look anew. Only one of those who ask at once is told so.
    fn is_due(&self, now: u64) -> bool {
        let due = self.due.load(Relaxed);
        let next = now.saturating_add(self.window.step());
        now >= due
            && self
                .due
                .compare_exchange(due, next, Relaxed, Relaxed)
                .is_ok()
    }

    /// Reports what the window says, where that is news, or is bad and was said so long ago that it would expire. Not with
    /// each failure that only goes on: every report with other numbers in it wakes all who watch the registry.
    #[cold]
    fn look(&self, now: u64, is_due: bool) {
        // Of two looks at once the one that has seen more wins.
        let (number, held) = self.window.look(now);
        let Some(status) = self.rules.judge(held) else {
            return;
        };
        if self.says(status, now) && (status == Status::Healthy || !is_due) {
            return;
        }
        self.said.fetch_max(number << 3 | code(status), Relaxed);
        let until = now.saturating_add(self.window.length());
        self.until.store(until, Relaxed);
        let report = self.rules.report(status, held);
        self.reporter.report(report.sequence(number));
    }

    /// Whether that is what was said last, and still counts: what was bad may have expired since.
    fn says(&self, status: Status, now: u64) -> bool {
        self.said.load(Relaxed) & 0b111 == code(status)
            && (status == Status::Healthy || now < self.until.load(Relaxed))
    }

    fn nanos(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// More than zero, which says nothing.
fn code(status: Status) -> u64 {
    1 + status as u64
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffic")
            .field("dependency", &self.dependency().name())
            .field("rules", &self.0.rules)
            .finish_non_exhaustive()
    }
}
