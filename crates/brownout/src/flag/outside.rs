//! What a flag follows from outside: an operator's orders, and the system's level.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use brownout_registry::{DegradationLevel, Dependency, FeatureState, OverrideCell, Registry};

use super::settings::Settings;

pub(super) struct Outside {
    pub(super) registry: Registry,
    pub(super) imposed: OverrideCell<FeatureState>,
    /// What the errors of the whole fleet have made of the flag.
    pub(super) fleet: OverrideCell<FeatureState>,
    /// The dependency that the feature calls.
    dependency: Option<Dependency>,
    /// Whether the level was raised by that dependency's own traffic, and has not come down or been as bad for another
    /// reason since.
    excused: AtomicBool,
}

impl Outside {
    pub(super) fn new(
        registry: &Registry,
        [imposed, fleet]: [OverrideCell<FeatureState>; 2],
        dependency: Option<Dependency>,
    ) -> Self {
        Self {
            registry: registry.clone(),
            imposed,
            fleet,
            dependency,
            excused: AtomicBool::new(false),
        }
    }

    pub(super) fn dependency(&self) -> Option<&Dependency> {
        self.dependency.as_ref()
    }

    /// The level that the flag's gates act on. May let the registry catch up, so call it with no lock held.
    ///
    /// It is the system's, unless that is as bad as it is only for what the own dependency's traffic says. For a dwell
    /// they are still to blame after they have closed, which is why the excuse lasts until the level has come down; or
    /// until something else has made it as bad, whose dwell counts as ever.
    pub(super) fn level(&self, settings: &Settings) -> DegradationLevel {
        let level = self.registry.level();
        let Some(dependency) = &self.dependency else {
            return level;
        };
        let asked = settings.gate(level);
        if asked == FeatureState::Enabled {
            if self.excused.load(Relaxed) {
                self.excused.store(false, Relaxed);
            }
            return level;
        }
        let traffic_matters = dependency.status() != dependency.status_without_traffic();
        if !traffic_matters && !self.excused.load(Relaxed) {
            return level;
        }
        let without = dependency.level_without_traffic();
        if settings.gate(without) < asked {
            self.excused.store(true, Relaxed);
            without
        } else {
            self.excused.store(false, Relaxed);
            level
        }
    }
}
