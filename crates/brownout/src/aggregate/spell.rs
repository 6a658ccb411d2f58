//! What an aggregate tells the registry and the log: that a part has begun to be missing, and that it answers again.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use brownout_registry::{Dependency, EventKind};
use tokio::time::Instant;

use crate::core::Cause;

use super::{failed::Covered, outcome::Name};

/// How long a part must not have been missing before it counts as returned. A part that fails now and then would
/// otherwise begin and end a spell with each failure: so it says at most two things in that time.
pub(super) const QUIET: Duration = Duration::from_secs(10);

/// The time in which a part is missing, of all calls together.
pub(super) struct Spell {
    dependency: Dependency,
    part: Arc<str>,
    active: AtomicBool,
    calls: AtomicU64,
    /// When it was last missing, in milliseconds since `epoch`.
    last: AtomicU64,
    epoch: Instant,
}

impl Spell {
    pub(super) fn new(dependency: &Dependency, part: &Name) -> Self {
        Self {
            dependency: dependency.clone(),
            part: part.shared(),
            active: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            last: AtomicU64::new(0),
            epoch: Instant::now(),
        }
    }

    pub(super) fn covered(&self) -> Covered {
        Covered {
            public_name: self.dependency.public_name().map(Arc::from),
            level: self.dependency.registry().level(),
        }
    }

    /// The part has failed.
    #[cold]
    pub(super) fn missing(&self, cause: &Cause, now: Instant) {
        self.last.store(self.millis(now), Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.active.swap(true, Ordering::AcqRel) {
            self.say_missing(cause.reason().as_str());
        }
    }

    /// The part has answered. While it is well, this is one load.
    #[inline]
    pub(super) fn answered(&self, now: Instant) {
        if self.active.load(Ordering::Relaxed) {
            self.end(now);
        }
    }

    #[cold]
    fn end(&self, now: Instant) {
        let last = self.last.load(Ordering::Relaxed);
        let quiet = Duration::from_millis(self.millis(now).saturating_sub(last));
        if quiet >= QUIET && self.active.swap(false, Ordering::AcqRel) {
            self.say_returned(self.calls.swap(0, Ordering::Relaxed));
        }
    }

    fn say_missing(&self, reason: &'static str) {
        let (dependency, part) = (self.dependency.name(), &*self.part);
        // Before the log, whose subscriber may panic.
        self.dependency.registry().record(EventKind::PartMissing {
            dependency: self.dependency.shared_name(),
            part: Arc::clone(&self.part),
            reason: reason.into(),
        });
        tracing::warn!(dependency, part, reason, "part missing");
    }

    fn say_returned(&self, calls: u64) {
        let (dependency, part) = (self.dependency.name(), &*self.part);
        self.dependency.registry().record(EventKind::PartReturned {
            dependency: self.dependency.shared_name(),
            part: Arc::clone(&self.part),
            calls,
        });
        tracing::info!(dependency, part, calls, "part no longer missing");
    }

    fn millis(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Spell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spell")
            .field("dependency", &self.dependency.name())
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}
