//! What a chain has counted, for whoever exports it.

use brownout_registry::{Counted, Dependency, Meter, Readings};

use crate::core::DegradeReason;

use super::{health::TierHealth, shared::Shared};

/// Only of a chain that covers a dependency: another has no registry to be found in, and no name.
impl Meter for Shared {
    fn read(&self, readings: &mut Readings) {
        let Some(dependency) = &self.dependency else {
            return;
        };
        for tier in &self.tiers {
            let counted = tier.servings().into_iter();
            read(dependency, tier, "answered", counted, readings);
            let counted = tier.failures.iter();
            read(dependency, tier, "failed", counted, readings);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(dependency) = &self.dependency {
            dependency.registry().retire_meter(self);
        }
    }
}

fn read(
    dependency: &Dependency,
    tier: &TierHealth,
    outcome: &'static str,
    counted: impl Iterator<Item = (DegradeReason, u64)>,
    readings: &mut Readings,
) {
    for (reason, count) in counted {
        let fallbacks = Counted::Fallbacks {
            dependency: dependency.shared_name(),
            tier: tier.name,
            reason: reason.as_str(),
            outcome,
        };
        readings.count(fallbacks, count);
    }
}
