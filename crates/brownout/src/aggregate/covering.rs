//! What an aggregate tells the registry and the log of a part that covers a dependency: that it has begun to be missing,
//! and that it answers again.

use std::{fmt, sync::Arc};

use brownout_registry::{Dependency, EventKind};
use tokio::time::Instant;

use crate::core::{Cause, spell::Spell};

use super::{failed::Covered, outcome::Name};

/// A part that covers a dependency, and the times in which it is missing, of all calls together.
pub(super) struct Covering {
    dependency: Dependency,
    part: Arc<str>,
    missing: Spell,
    epoch: Instant,
}

impl Covering {
    pub(super) fn new(dependency: &Dependency, part: &Name) -> Self {
        Self {
            dependency: dependency.clone(),
            part: part.shared(),
            missing: Spell::default(),
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
        if self.missing.happened(self.nanos(now)) {
            self.say_missing(cause);
        }
    }

    /// The part has answered. While it is well, this is one load.
    #[inline]
    pub(super) fn answered(&self, now: Instant) {
        if self.missing.lasts()
            && let Some(calls) = self.missing.end(self.nanos(now))
        {
            self.say_returned(calls);
        }
    }

    fn say_missing(&self, cause: &Cause) {
        let reason = cause.reason().as_str();
        let (dependency, part) = (self.dependency.name(), &*self.part);
        // Before the log, whose subscriber may panic.
        self.dependency.registry().record(EventKind::PartMissing {
            dependency: self.dependency.shared_name(),
            part: Arc::clone(&self.part),
            reason: reason.into(),
        });
        // What the part itself said, which nobody is told but those who read the log.
        let cause = cause.text();
        tracing::warn!(dependency, part, reason, cause, "part missing");
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

    fn nanos(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl fmt::Debug for Covering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Covering")
            .field("dependency", &self.dependency.name())
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}
