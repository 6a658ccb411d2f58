//! A flag's counts, without the flag.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brownout_registry::fleet::{Count, Rule};
use brownout_registry::{Meter, Readings, Registry};

/// Calls of a flag, as its layer would count them.
pub(crate) struct Calls {
    flag: Arc<str>,
    rule: Rule,
    successes: AtomicU64,
    failures: AtomicU64,
}

impl Calls {
    /// Counts calls of a flag that five errors within a minute trip for a minute.
    pub(crate) fn of(registry: &Registry, flag: &str) -> Arc<Self> {
        let minute = Duration::from_mins(1);
        let calls = Arc::new(Self {
            flag: flag.into(),
            rule: Rule {
                errors: 5,
                window: minute,
                min_ratio_ppb: 0,
                ttl: minute,
            },
            successes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        registry.attach_meter(&calls);
        calls
    }

    pub(crate) fn add(&self, successes: u64, failures: u64) {
        self.successes.fetch_add(successes, Ordering::Relaxed);
        self.failures.fetch_add(failures, Ordering::Relaxed);
    }
}

impl Meter for Calls {
    fn read(&self, _readings: &mut Readings) {}

    fn count(&self, counts: &mut Vec<Count>) {
        counts.push(Count {
            flag: Arc::clone(&self.flag),
            successes: self.successes.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            rule: self.rule,
        });
    }
}
