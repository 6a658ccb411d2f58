//! What becomes of an aggregate's parts, counted for whoever exports it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use brownout_registry::{Counted, Meter, Readings, Registry};

use crate::core::threads;

use super::plan::Plan;

/// Who is told, and under which name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) registry: Registry,
    pub(super) name: Arc<str>,
}

/// What became of one part, striped by thread.
pub(super) struct PartCounts([Line; LINES]);

#[derive(Default)]
#[repr(align(128))]
struct Line {
    answered: AtomicU64,
    stood_in: AtomicU64,
    missing: AtomicU64,
}

const LINES: usize = 8;

impl PartCounts {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Line::default()))
    }

    #[inline]
    pub(super) fn answered(&self) {
        self.line().answered.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self, stood_in: bool) {
        let line = self.line();
        let counter = if stood_in {
            &line.stood_in
        } else {
            &line.missing
        };
        counter.fetch_add(1, Relaxed);
    }

    #[inline]
    fn line(&self) -> &Line {
        &self.0[threads::number() % LINES]
    }

    fn sum(&self, counter: fn(&Line) -> &AtomicU64) -> u64 {
        let counts = self.0.iter().map(|line| counter(line).load(Relaxed));
        counts.sum()
    }
}

impl Meter for Plan {
    fn read(&self, readings: &mut Readings) {
        let Some(named) = &self.named else { return };
        for about in &self.parts {
            let Some(counts) = &about.counts else {
                continue;
            };
            let outcomes = [
                ("answered", counts.sum(|line| &line.answered)),
                ("fallback", counts.sum(|line| &line.stood_in)),
                ("missing", counts.sum(|line| &line.missing)),
            ];
            for (outcome, count) in outcomes {
                let parts = Counted::Parts {
                    aggregate: Arc::clone(&named.name),
                    part: about.name.shared(),
                    outcome,
                };
                readings.count(parts, count);
            }
        }
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        if let Some(named) = &self.named {
            named.registry.retire_meter(self);
        }
    }
}

impl fmt::Debug for PartCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartCounts").finish_non_exhaustive()
    }
}
