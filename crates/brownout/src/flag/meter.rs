//! What a flag has counted, for whoever exports it.

use std::sync::Arc;

use brownout_registry::{Counted, FlagCause, Meter, Readings, fleet::Count};

use crate::core::RejectReason;

use super::shared::Shared;

/// The layer's name among those that count calls.
const LAYER: &str = "flag";

/// Under the name of the flag, as in its refusals: a flag need not have a dependency, and a dependency can have many.
impl Meter for Shared {
    fn read(&self, readings: &mut Readings) {
        readings.flag(Arc::clone(&self.name), self.state());
        self.total(readings);
    }

    fn count(&self, counts: &mut Vec<Count>) {
        let totals = self.engine.totals();
        counts.push(Count {
            flag: Arc::clone(&self.name),
            successes: totals.successes,
            failures: totals.failures,
            rule: self.engine.rule(self.now()),
        });
    }
}

impl Shared {
    fn total(&self, readings: &mut Readings) {
        let name = || Arc::clone(&self.name);
        let totals = self.engine.totals();
        let outcomes = [
            ("success", totals.successes),
            ("failure", totals.failures),
            ("neutral", totals.neutral),
            ("abandoned", totals.abandoned),
            ("diverted", totals.diverted),
        ];
        for (outcome, count) in outcomes {
            let (dependency, layer) = (name(), LAYER);
            let calls = Counted::Calls {
                dependency,
                layer,
                outcome,
            };
            readings.count(calls, count);
        }
        let reasons = [RejectReason::FlagDegraded, RejectReason::FlagDisabled];
        for (reason, count) in reasons.into_iter().zip(self.engine.refusals()) {
            let (dependency, cause) = (name(), reason.as_str());
            readings.count(Counted::Rejections { dependency, cause }, count);
        }
        let changed = |cause: FlagCause| Counted::FlagChanges {
            flag: name(),
            cause: cause.as_str(),
        };
        for cause in FlagCause::ALL {
            readings.count(changed(*cause), 0);
        }
        for (cause, count) in self.changes.iter() {
            readings.count(changed(cause), count);
        }
    }
}

/// What a flag leaves behind. Not its state: whoever asks for that makes the flag tell of what has ended by itself, and
/// nobody should hear from a flag that is being dropped.
struct Last<'a>(&'a Shared);

impl Meter for Last<'_> {
    fn read(&self, readings: &mut Readings) {
        self.0.total(readings);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.outside.registry.retire_meter(&Last(self));
    }
}
