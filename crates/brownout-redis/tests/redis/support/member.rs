//! Registries that are in a fleet over a real server, with everything in a hurry.

use std::time::Duration;

use brownout_redis::RedisStore;
use brownout_registry::fleet::{Fleet, FleetError, FleetGuard, FleetSettings};
use brownout_registry::{
    FeatureState, FleetOverrideId, Order, OverrideValue, Registry, Scope, Status, Target,
};
use tokio::time::{Instant, sleep};

use super::{flag, replica};

/// One replica.
pub(crate) struct Member {
    pub(crate) registry: Registry,
    pub(crate) fleet: Fleet,
    _guard: FleetGuard,
}

impl Member {
    pub(crate) fn join(store: RedisStore, name: &str) -> Self {
        let settings = FleetSettings::new(replica(name))
            .timeout(Duration::from_millis(1_500))
            .ping(Duration::from_millis(300))
            .repair(Duration::from_secs(1))
            .flush(Duration::from_millis(100))
            .report(Duration::from_millis(300));
        Self::join_as(store, settings)
    }

    pub(crate) fn join_as(store: RedisStore, settings: FleetSettings) -> Self {
        let registry = Registry::new();
        let guard = registry.join_fleet(store, settings).unwrap();
        Self {
            fleet: guard.fleet(),
            registry,
            _guard: guard,
        }
    }

    pub(crate) async fn set(&self, name: &str, state: FeatureState) -> FleetOverrideId {
        self.try_set(name, state).await.unwrap()
    }

    pub(crate) async fn try_set(
        &self,
        name: &str,
        state: FeatureState,
    ) -> Result<FleetOverrideId, FleetError> {
        let order = Order::new("ops", "drill", Duration::from_mins(10));
        let value = OverrideValue::Flag(state);
        self.fleet.set(flag(name), value, order).await
    }

    /// The state imposed on a flag.
    pub(crate) fn imposed(&self, name: &str) -> Option<FeatureState> {
        let imposed = self.registry.flag_override(name).unwrap().get();
        imposed.map(|imposed| imposed.value)
    }

    /// Whether the fleet degrades a flag.
    pub(crate) fn tripped(&self, name: &str) -> bool {
        self.registry.flag_trip(name).unwrap().get().is_some()
    }

    /// The fleet's overrides, as they are here.
    pub(crate) fn held(&self) -> Vec<(Target, FleetOverrideId)> {
        let overrides = self.registry.overrides().into_iter();
        let mut held: Vec<_> = overrides
            .filter_map(|info| match info.scope {
                Scope::Fleet(id) => Some((info.target, id)),
                _ => None,
            })
            .collect();
        held.sort();
        held
    }

    /// What the replica says of the store, and why.
    pub(crate) fn store_status(&self) -> (Status, String) {
        let snapshot = self.registry.snapshot();
        let store = snapshot
            .dependencies
            .iter()
            .find(|dependency| &*dependency.name == "fleet-store")
            .expect("it was registered on joining");
        let said = store
            .reports
            .iter()
            .map(|report| report.message.as_deref().unwrap_or_default());
        (store.status, said.collect::<Vec<_>>().join("; "))
    }
}

/// Waits until something is so, and fails with these words if it is not within twenty seconds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "not within 20 s: {what}"
        );
        // Other processes and the real clock are what this waits for.
        sleep(Duration::from_millis(10)).await;
    }
}
