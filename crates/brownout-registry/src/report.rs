//! Reports on a dependency, and the slots they are written to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::dependency::Dependency;
use crate::text::{MAX_TEXT, bounded};
use crate::vocab::Status;

/// What kind of thing reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReporterKind {
    /// A circuit breaker in front of the dependency.
    Circuit,
    /// A probe that checks the dependency on its own.
    Probe,
    /// Real traffic, observed in passing.
    Traffic,
    /// A feature flag.
    Flag,
    /// The user's own code.
    Code,
}

impl ReporterKind {
    /// The name used in logs and formats.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Circuit => "circuit",
            Self::Probe => "probe",
            Self::Traffic => "traffic",
            Self::Flag => "flag",
            Self::Code => "code",
        }
    }
}

impl fmt::Display for ReporterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a reporter says about a dependency.
///
/// ```
/// use std::time::Duration;
/// use brownout_registry::{Report, Status};
///
/// let report = Report::unhealthy("cannot be reached")
///     .detail("connect to 10.0.0.7:5432: connection refused")
///     .ttl(Duration::from_secs(30))
///     .then(Status::Degraded);
/// assert_eq!(report.status(), Status::Unhealthy);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a report does nothing until a reporter reports it"]
pub struct Report {
    pub(crate) status: Status,
    pub(crate) message: Option<Arc<str>>,
    pub(crate) detail: Option<Arc<str>>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) then: Option<Status>,
    pub(crate) sequence: Option<u64>,
}

impl Report {
    /// A report of this status that says no more and does not expire.
    #[inline]
    pub const fn new(status: Status) -> Self {
        Self {
            status,
            message: None,
            detail: None,
            ttl: None,
            then: None,
            sequence: None,
        }
    }

    /// The dependency works.
    #[inline]
    pub const fn healthy() -> Self {
        Self::new(Status::Healthy)
    }

    /// The dependency works in part, for a reason that strangers may read.
    pub fn degraded(message: impl Into<Arc<str>>) -> Self {
        Self::new(Status::Degraded).message(message)
    }

    /// The dependency does not work, for a reason that strangers may read.
    pub fn unhealthy(message: impl Into<Arc<str>>) -> Self {
        Self::new(Status::Unhealthy).message(message)
    }

    /// What strangers may read: no addresses, no upstream error texts. Cut off after 256 bytes; line breaks in it become
    /// spaces, other controls U+FFFD.
    pub fn message(mut self, message: impl Into<Arc<str>>) -> Self {
        self.message = Some(bounded(message.into(), MAX_TEXT));
        self
    }

    /// What only operators may read; it is logged at DEBUG and marked private in snapshots. Bounded and cleaned as a
    /// [`message`](Self::message) is.
    pub fn detail(mut self, detail: impl Into<Arc<str>>) -> Self {
        self.detail = Some(bounded(detail.into(), MAX_TEXT));
        self
    }

    /// How long the report counts, up to the end of the registry's clock, 36 years after it was made. Without one it
    /// counts until the reporter says something else or is dropped.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// What the report counts as once its time to live has passed; without this it vanishes. No effect without a
    /// time to live.
    pub const fn then(mut self, status: Status) -> Self {
        self.then = Some(status);
        self
    }

    /// Numbers the report: one with a lower number than the slot has seen is ignored, so that two threads which report
    /// two transitions cannot deliver them in the wrong order.
    pub const fn sequence(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// The status it reports.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Whether it is a status and nothing else.
    #[inline]
    fn is_plain(&self) -> bool {
        self.message.is_none()
            && self.detail.is_none()
            && self.ttl.is_none()
            && self.then.is_none()
            && self.sequence.is_none()
    }
}

/// A handle on one slot of a dependency, through which one reporter says how the dependency is.
///
/// Each call of [`Dependency::reporter`] makes a slot of its own, whatever its name; clones share it. Dropping the last
/// clone withdraws what was reported. There is no limit to the slots of a dependency: their handles own them.
///
/// A report that changes nothing (a bare status, the same as before) costs no lock and no allocation.
#[derive(Clone)]
pub struct Reporter {
    slot: Arc<SlotHandle>,
}

struct SlotHandle {
    dependency: Dependency,
    id: u64,
    times: Arc<SlotTimes>,
}

/// What the report that changes nothing reads and writes, without the registry's lock.
#[derive(Debug)]
pub(crate) struct SlotTimes {
    clock: Clock,
    /// 0, or 1 + the code of the bare, unexpiring status that the slot holds. Written under the registry's lock.
    plain: AtomicU64,
    /// When the slot's report was last made.
    last: AtomicU64,
}

impl SlotTimes {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            plain: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// Notes that the reporter still says so.
    #[inline]
    fn renew(&self) {
        self.last.store(self.clock.now(), Ordering::Relaxed);
    }

    pub(crate) fn hold(&self, plain: Option<Status>, at: u64) {
        self.last.store(at, Ordering::Relaxed);
        self.plain.store(
            plain.map_or(0, |status| 1 + status.code()),
            Ordering::Release,
        );
    }

    #[inline]
    fn holds(&self, status: Status) -> bool {
        self.plain.load(Ordering::Acquire) == 1 + status.code()
    }

    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }
}

impl Reporter {
    pub(crate) fn new(dependency: Dependency, id: u64, times: Arc<SlotTimes>) -> Self {
        Self {
            slot: Arc::new(SlotHandle {
                dependency,
                id,
                times,
            }),
        }
    }

    /// Says how the dependency is, in place of what this reporter said before.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "a bare status written at the call then never becomes a report in memory"
    )]
    pub fn report(&self, report: Report) {
        if report.is_plain() && self.slot.times.holds(report.status) {
            self.slot.times.renew();
        } else {
            self.slot.report(report);
        }
    }

    /// The dependency it reports on.
    pub fn dependency(&self) -> &Dependency {
        &self.slot.dependency
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter")
            .field("dependency", &self.slot.dependency.name())
            .finish_non_exhaustive()
    }
}

impl SlotHandle {
    #[cold]
    fn report(&self, report: Report) {
        self.dependency
            .shared()
            .report(self.dependency.core().index(), self.id, report);
    }
}

impl Drop for SlotHandle {
    fn drop(&mut self) {
        self.dependency
            .shared()
            .withdraw(self.dependency.core().index(), self.id);
    }
}
