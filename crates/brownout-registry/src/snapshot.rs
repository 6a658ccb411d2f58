//! An immutable picture of the whole registry, for health endpoints, consoles and exporters.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::overrides::OverrideInfo;
use crate::report::ReporterKind;
use crate::vocab::{Criticality, DegradationLevel, Status, SystemHealth};

/// A point in time, as decisions see it and as people read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moment {
    /// On tokio's clock.
    pub at: Instant,
    /// On the wall clock; for display only.
    pub wall: SystemTime,
}

impl Moment {
    /// How long ago it was, on tokio's clock; zero for what is still to come.
    pub fn age(&self) -> Duration {
        self.at.elapsed()
    }
}

/// Everything the registry knew at one moment.
///
/// Pictures are shared and built only when something has changed; times of last reports and probe measurements in them
/// may be up to one second older than the picture's use.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Snapshot {
    /// Counts every visible change; equal revisions differ at most in times and measurements.
    pub revision: u64,
    /// When the picture was made.
    pub made: Moment,
    /// The published level.
    pub level: DegradationLevel,
    /// What the level would be without dwell and override.
    pub raw_level: DegradationLevel,
    /// The system's health.
    pub health: SystemHealth,
    /// Every dependency, sorted by name.
    pub dependencies: Vec<Arc<DependencyView>>,
    /// Every active override, the oldest first.
    pub overrides: Vec<OverrideInfo>,
}

impl Snapshot {
    /// The dependency with this name.
    pub fn dependency(&self, name: &str) -> Option<&DependencyView> {
        let found = self
            .dependencies
            .binary_search_by(|view| view.name.as_ref().cmp(name))
            .ok()?;
        self.dependencies.get(found).map(Arc::as_ref)
    }
}

/// One dependency in a [`Snapshot`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DependencyView {
    /// Its name, for operators.
    pub name: Arc<str>,
    /// What strangers may call it; without one it is left out of public output.
    pub public_name: Option<Arc<str>>,
    /// What it is.
    pub description: Option<Arc<str>>,
    /// How much it matters.
    pub criticality: Criticality,
    /// Its status.
    pub status: Status,
    /// Its status as override, probes and code see it, without circuits and observed calls.
    pub status_without_traffic: Status,
    /// Since when it has that status.
    pub since: Moment,
    /// The features and endpoints it affects.
    pub affects: Arc<[Arc<str>]>,
    /// The fallback that covers it.
    pub covered_by: Option<Arc<str>>,
    /// What its reporters say, in the order in which they were made.
    pub reports: Vec<ReportView>,
    /// Its probes.
    pub probes: Vec<ProbeView>,
    /// The override of its status in force.
    pub status_override: Option<OverrideInfo>,
    /// The override of its circuits' mode in force.
    pub circuit_override: Option<OverrideInfo>,
}

/// What one reporter says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReportView {
    /// What kind of reporter it is.
    pub kind: ReporterKind,
    /// The reporter's name.
    pub reporter: Arc<str>,
    /// The status it reports (before an override of circuits' mode adjusts it).
    pub status: Status,
    /// The message, fit for strangers.
    pub message: Option<Arc<str>>,
    /// **Private**: the detail, for operators only.
    pub private_detail: Option<Arc<str>>,
    /// When it last reported.
    pub last: Moment,
    /// When the report expires.
    pub until: Option<Moment>,
}

/// What one probe has found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProbeView {
    /// The probe's name.
    pub name: Arc<str>,
    /// Whether it counts the dependency as working; none before its first result.
    pub passing: Option<bool>,
    /// When the last check ended.
    pub last_check: Option<Moment>,
    /// How long the last check took.
    pub response_time: Option<Duration>,
    /// How many checks in a row have failed.
    pub consecutive_failures: u32,
    /// **Private**: what the last failed check said, until one succeeds.
    pub private_error: Option<Arc<str>>,
}
