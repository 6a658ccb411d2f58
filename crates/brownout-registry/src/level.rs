//! From counts of statuses to the system's health and its degradation level.

use std::collections::HashMap;
use std::fmt;

use crate::vocab::{Criticality, DegradationLevel, Status, SystemHealth};

/// How many dependencies there are of each criticality and status.
///
/// Deriving from counts costs the same for ten dependencies and for a hundred thousand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Counts([[usize; 4]; 3]);

impl Counts {
    /// How many dependencies of this criticality have this status.
    pub const fn get(&self, criticality: Criticality, status: Status) -> usize {
        self.0[criticality as usize][status as usize]
    }

    /// How many dependencies of any criticality have this status.
    pub fn of_status(&self, status: Status) -> usize {
        self.0.iter().map(|row| row[status as usize]).sum()
    }

    /// How many dependencies of this criticality there are.
    pub fn of_criticality(&self, criticality: Criticality) -> usize {
        self.0[criticality as usize].iter().sum()
    }

    /// How many dependencies of this criticality are unhealthy.
    pub const fn unhealthy(&self, criticality: Criticality) -> usize {
        self.get(criticality, Status::Unhealthy)
    }

    /// How many dependencies there are.
    pub fn total(&self) -> usize {
        self.0.iter().flatten().sum()
    }

    /// The health that follows from the counts.
    pub fn health(&self) -> SystemHealth {
        if self.unhealthy(Criticality::Critical) > 0 {
            SystemHealth::Critical
        } else if self.of_status(Status::Healthy) < self.total() {
            SystemHealth::Degraded
        } else {
            SystemHealth::Healthy
        }
    }

    pub(crate) fn add(&mut self, criticality: Criticality, status: Status) {
        self.0[criticality as usize][status as usize] += 1;
    }

    pub(crate) fn remove(&mut self, criticality: Criticality, status: Status) {
        let count = &mut self.0[criticality as usize][status as usize];
        *count = count.saturating_sub(1);
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for &criticality in Criticality::ALL {
            for &status in Status::ALL {
                match self.get(criticality, status) {
                    0 => {}
                    count => {
                        map.entry(&format_args!("{criticality} {status}"), &count);
                    }
                }
            }
        }
        map.finish()
    }
}

/// The rule that turns counts into a degradation level.
///
/// The answer must follow from the counts alone: it is remembered, and asked for again only when it has been forgotten.
/// It is called outside every lock of the registry. If it panics, [`StandardPolicy`] answers in its place, that once: the
/// policy is asked again at the next judgement. The first panic is logged. A policy need not call the registry; if it
/// does, it reads what is published at the time, and what it reports to the same registry is judged with the next change.
///
/// Closures are policies:
///
/// ```
/// use brownout_registry::{Counts, Criticality, DegradationLevel, Registry, Status};
///
/// let registry = Registry::builder()
///     .level_policy(|counts: &Counts| match counts.of_status(Status::Unhealthy) {
///         0 => DegradationLevel::Full,
///         _ => DegradationLevel::Minimal,
///     })
///     .build()?;
/// # Ok::<(), brownout_registry::ConfigError>(())
/// ```
pub trait LevelPolicy: Send + Sync + 'static {
    /// The level for these counts.
    fn level(&self, counts: &Counts) -> DegradationLevel;
}

impl<F> LevelPolicy for F
where
    F: Fn(&Counts) -> DegradationLevel + Send + Sync + 'static,
{
    fn level(&self, counts: &Counts) -> DegradationLevel {
        self(counts)
    }
}

/// The default rule: a critical dependency unhealthy is `Emergency`, two important ones `Minimal`, one `Reduced`.
#[derive(Debug, Clone, Copy, Default)]
pub struct StandardPolicy;

impl LevelPolicy for StandardPolicy {
    fn level(&self, counts: &Counts) -> DegradationLevel {
        match (
            counts.unhealthy(Criticality::Critical),
            counts.unhealthy(Criticality::Important),
        ) {
            (1.., _) => DegradationLevel::Emergency,
            (0, 2..) => DegradationLevel::Minimal,
            (0, 1) => DegradationLevel::Reduced,
            (0, 0) => DegradationLevel::Full,
        }
    }
}

/// What a policy has answered, so that it is never asked under the lock.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    known: HashMap<Counts, DegradationLevel>,
    /// An answer in place of one that did not come: good for one judgement.
    stopgap: Option<(Counts, DegradationLevel)>,
}

impl Answers {
    /// Enough for every state a system wanders through in an outage; beyond it, asking again is cheap.
    const LIMIT: usize = 256;

    /// The level for these counts, if it is known.
    pub(crate) fn take(&mut self, counts: &Counts) -> Option<DegradationLevel> {
        let known = self.known.get(counts).copied();
        known.or_else(|| {
            let (_, level) = self.stopgap.take_if(|(asked, _)| *asked == *counts)?;
            Some(level)
        })
    }

    pub(crate) fn insert(&mut self, counts: Counts, answer: DegradationLevel) {
        if self.known.len() >= Self::LIMIT {
            self.known.clear();
        }
        self.known.insert(counts, answer);
    }

    /// Answers once, as the standard policy does.
    pub(crate) fn insert_stopgap(&mut self, counts: Counts) {
        self.stopgap = Some((counts, StandardPolicy.level(&counts)));
    }
}

/// The maximum of the raw level over the last `length`, so that the level rises at once and falls without flapping.
///
/// It needs no queue of the past: for each level, the last time the raw level was at least that high says it all.
#[derive(Debug)]
pub(crate) struct Dwell {
    length: u64,
    raw: DegradationLevel,
    /// When the raw level was last at least this high; for those it is at or above now, see `raw`.
    last: [Option<u64>; 4],
}

impl Dwell {
    pub(crate) fn new(length: u64) -> Self {
        Self {
            length,
            raw: DegradationLevel::Full,
            last: [None; 4],
        }
    }

    pub(crate) fn raw(&self) -> DegradationLevel {
        self.raw
    }

    /// Takes the raw level from `at` on.
    pub(crate) fn set(&mut self, raw: DegradationLevel, at: u64) {
        for &level in DegradationLevel::ALL {
            if self.raw >= level {
                self.last[level as usize] = Some(at);
            }
        }
        self.raw = raw;
    }

    /// The level at `at`, and when it will fall if nothing happens.
    pub(crate) fn level(&self, at: u64) -> (DegradationLevel, Option<u64>) {
        let held = |level: DegradationLevel| {
            let until = self.last[level as usize]?.saturating_add(self.length);
            (level > self.raw && until > at).then_some((level, Some(until)))
        };
        DegradationLevel::ALL
            .iter()
            .rev()
            .find_map(|&level| held(level))
            .unwrap_or((self.raw, None))
    }
}
