//! How a tier does, whoever it was asked for.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use brownout_registry::{Dependency, Report, Reporter, ReporterKind, Status};

use super::Skip;
use crate::core::{Cause, DegradeReason, striped::Striped, tally::Tally};

/// So many failures in a row make a tier unhealthy; fewer, degraded.
const UNHEALTHY: u32 = 3;

/// How long a tier's failures count for the dependency that it stands for: tiers are asked seldom, and an old failure
/// says little.
const COUNTS: Duration = Duration::from_mins(1);

/// One tier, as its chain knows it.
pub(super) struct TierHealth {
    pub(super) name: &'static str,
    /// Whether it ends the chain, and so cannot be done without.
    pub(super) is_last: bool,
    off: AtomicBool,
    /// By thread, because in an outage every call adds to them.
    answers: Striped<Answers>,
    failed: AtomicU64,
    in_a_row: AtomicU32,
    last_failure: Mutex<Option<Cause>>,
    /// Calls that it has failed, by how.
    pub(super) failures: Tally<DegradeReason>,
    stands_for: Option<Reporter>,
}

/// Calls that a tier has answered.
#[derive(Debug)]
struct Answers {
    all: AtomicU64,
    /// Those that a caller got, by why the tier was asked.
    served: Tally<DegradeReason>,
}

impl TierHealth {
    pub(super) fn new(name: &'static str, is_last: bool, stands_for: Option<&Dependency>) -> Self {
        Self {
            name,
            is_last,
            off: AtomicBool::new(false),
            answers: Striped::new(|| Answers {
                all: AtomicU64::new(0),
                served: Tally::new(),
            }),
            failed: AtomicU64::new(0),
            in_a_row: AtomicU32::new(0),
            last_failure: Mutex::new(None),
            failures: Tally::new(),
            stands_for: stands_for.map(|it| it.reporter(ReporterKind::Traffic, "fallback tier")),
        }
    }

    /// The dependency for which it stands, if it was said to stand for one.
    pub(super) fn stands_for(&self) -> Option<&Dependency> {
        self.stands_for.as_ref().map(Reporter::dependency)
    }

    /// Why it is not to be asked, if so.
    pub(super) fn skip(&self) -> Option<Skip> {
        if self.off.load(Ordering::Relaxed) {
            return Some(Skip::SwitchedOff);
        }
        let dependency = self.stands_for()?;
        (dependency.status_without_traffic() == Status::Unhealthy).then_some(Skip::Unhealthy)
    }

    /// Switches it; whether that changed anything.
    pub(super) fn switch(&self, off: bool) -> bool {
        self.off.swap(off, Ordering::Relaxed) != off
    }

    pub(super) fn is_on(&self) -> bool {
        !self.off.load(Ordering::Relaxed)
    }

    pub(super) fn answered(&self) {
        self.answers.mine().all.fetch_add(1, Ordering::Relaxed);
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
        if let Some(reporter) = &self.stands_for {
            reporter.report(Report::healthy());
        }
    }

    /// The caller has got its answer.
    pub(super) fn served(&self, reason: DegradeReason) {
        self.answers.mine().served.add(reason);
    }

    pub(super) fn failed(&self, cause: &Cause) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.failures.add(cause.reason());
        let before = self
            .in_a_row
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                Some(n.saturating_add(1))
            })
            .unwrap_or(0);
        let old = self.last_failure().replace(cause.clone());
        // Outside the lock: dropping it drops what a user's `Display` may share.
        drop(old);
        if let Some(reporter) = &self.stands_for {
            let report = match status(before.saturating_add(1)) {
                Status::Unhealthy => Report::unhealthy("does not answer as a fallback tier"),
                _ => Report::degraded("sometimes does not answer as a fallback tier"),
            };
            reporter.report(report.detail(cause.text()).ttl(COUNTS));
        }
    }

    pub(super) fn status(&self) -> Status {
        match self.in_a_row.load(Ordering::Relaxed) {
            0 if self.all_answers() == 0 => Status::Unknown,
            failures => status(failures),
        }
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        (self.all_answers(), self.failed.load(Ordering::Relaxed))
    }

    /// Calls whose callers have got its answer, by why it was asked.
    pub(super) fn servings(&self) -> Vec<(DegradeReason, u64)> {
        let mut servings: Vec<(DegradeReason, u64)> = Vec::new();
        for (reason, count) in self
            .answers
            .iter()
            .flat_map(|answers| answers.served.iter())
        {
            match servings.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, sum)) => *sum += count,
                None => servings.push((reason, count)),
            }
        }
        servings
    }

    pub(super) fn failure(&self) -> Option<Cause> {
        self.last_failure().clone()
    }

    fn all_answers(&self) -> u64 {
        let answers = self.answers.iter();
        answers
            .map(|answers| answers.all.load(Ordering::Relaxed))
            .sum()
    }

    fn last_failure(&self) -> std::sync::MutexGuard<'_, Option<Cause>> {
        self.last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn status(failures_in_a_row: u32) -> Status {
    match failures_in_a_row {
        0 => Status::Healthy,
        1..UNHEALTHY => Status::Degraded,
        _ => Status::Unhealthy,
    }
}
