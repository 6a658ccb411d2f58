//! A fleet in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brownout_registry::fleet::{
    Count, Fleet, FleetError, FleetGuard, FleetSettings, MemoryStore, ReplicaId, Rule,
};
use brownout_registry::{
    FeatureState, FleetOverrideId, Meter, Order, OverrideCell, OverrideValue, Readings, Registry,
    Scope, Target,
};
use brownout_testing::fleet::{FaultyStore, StoreFaults};
use tokio::time::sleep;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Longer than the longest time between two pictures, and the operations of one.
pub(crate) const REPAIR: Duration = Duration::from_secs(50);

/// One replica, with a network of its own.
pub(crate) struct Replica {
    pub(crate) registry: Registry,
    pub(crate) fleet: Fleet,
    pub(crate) faults: StoreFaults,
    pub(crate) guard: FleetGuard,
}

pub(crate) fn settings(name: &str) -> FleetSettings {
    FleetSettings::new(ReplicaId::new(name).unwrap())
}

pub(crate) fn registry(seed: u64) -> Registry {
    Registry::builder().seed(seed).build().unwrap()
}

impl Replica {
    pub(crate) fn join(server: &MemoryStore, number: u64) -> Self {
        let name = format!("replica-{number}");
        Self::join_as(server, registry(number), settings(&name))
    }

    pub(crate) fn join_as(
        server: &MemoryStore,
        registry: Registry,
        settings: FleetSettings,
    ) -> Self {
        let (store, faults) = FaultyStore::new(server.clone());
        let guard = registry.join_fleet(store, settings).unwrap();
        Self {
            fleet: guard.fleet(),
            registry,
            faults,
            guard,
        }
    }

    pub(crate) async fn set(
        &self,
        flag: &str,
        state: FeatureState,
        seconds: u32,
    ) -> Result<FleetOverrideId, FleetError> {
        let value = OverrideValue::Flag(state);
        self.fleet.set(target(flag), value, order(seconds)).await
    }

    /// The state imposed on a flag, by anybody.
    pub(crate) fn imposed(&self, flag: &str) -> Option<FeatureState> {
        let imposed = self.registry.flag_override(flag).unwrap().get();
        imposed.map(|imposed| imposed.value)
    }

    pub(crate) fn trip(&self, flag: &str) -> OverrideCell<FeatureState> {
        self.registry.flag_trip(flag).unwrap()
    }

    /// The fleet's overrides, as they are here: targets and ids, in order.
    pub(crate) fn held(&self) -> Vec<(Target, FleetOverrideId)> {
        let mut held: Vec<_> = self
            .registry
            .overrides()
            .into_iter()
            .filter_map(|info| match info.scope {
                Scope::Fleet(id) => Some((info.target, id)),
                _ => None,
            })
            .collect();
        held.sort();
        held
    }
}

pub(crate) async fn fleet<const N: usize>() -> (MemoryStore, [Replica; N]) {
    let server = MemoryStore::new();
    let mut number = 0;
    let replicas = std::array::from_fn(|_| {
        number += 1;
        Replica::join(&server, number)
    });
    soon().await;
    (server, replicas)
}

/// Time for a message to arrive.
pub(crate) async fn soon() {
    sleep(Duration::from_millis(10)).await;
}

pub(crate) fn target(flag: &str) -> Target {
    Target::Flag(flag.into())
}

pub(crate) fn order(seconds: u32) -> Order {
    Order::new("ops", "drill", SECOND * seconds)
}

/// A flag's counts, without the flag.
pub(crate) struct Calls {
    flag: Arc<str>,
    rule: Rule,
    pub(crate) successes: AtomicU64,
    pub(crate) failures: AtomicU64,
}

impl Calls {
    /// Counts calls of a flag that five errors of a minute trip for a minute, if they are a twentieth.
    pub(crate) fn of(registry: &Registry, flag: &str) -> Arc<Self> {
        let calls = Arc::new(Self {
            flag: flag.into(),
            rule: Rule {
                errors: 5,
                window: SECOND * 60,
                min_ratio_ppb: 50_000_000,
                ttl: SECOND * 60,
            },
            successes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        registry.attach_meter(&calls);
        calls
    }

    pub(crate) fn fail(&self, times: u64) {
        self.failures.fetch_add(times, Ordering::Relaxed);
    }

    pub(crate) fn succeed(&self, times: u64) {
        self.successes.fetch_add(times, Ordering::Relaxed);
    }
}

impl Meter for Calls {
    fn read(&self, _: &mut Readings) {}

    fn count(&self, counts: &mut Vec<Count>) {
        counts.push(Count {
            flag: Arc::clone(&self.flag),
            successes: self.successes.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            rule: self.rule,
        });
    }
}
