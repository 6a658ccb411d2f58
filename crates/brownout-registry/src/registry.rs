//! The registry's handle and its configuration.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cell::{OverrideCell, Subscription};
use crate::clock::DAY;
use crate::dependency::{Dependency, DependencyBuilder};
use crate::driver::Driver;
use crate::error::{ConfigError, OverrideError, RegisterError};
use crate::events::{Event, EventKind, Events};
use crate::fleet::{Fleet, FleetGuard, FleetSettings, FleetStore, JoinError};
use crate::level::LevelPolicy;
use crate::meter::{Meter, Readings};
use crate::overrides::{Order, OverrideId, OverrideInfo, OverrideValue};
use crate::random::Random;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::state::Place;
use crate::vocab::{DegradationLevel, FeatureState, SystemHealth};
use crate::watch::Watch;

/// A cheap handle on a registry of dependencies. Clones are the same registry.
///
/// The registry lives as long as any handle on it or on one of its dependencies. See the [crate's page](crate) for what
/// it derives and how.
///
/// One clock a registry: its time is tokio's, which in a runtime that is paused (for tests) is not the time of the threads
/// around it. Where both use one registry, a static one for example, time is the furthest that either has seen, and what
/// the other reports seems old. Give each such test a registry of its own.
#[derive(Clone)]
pub struct Registry {
    pub(crate) shared: Arc<Shared>,
}

/// Configures a [`Registry`].
///
/// ```
/// use std::time::Duration;
/// use brownout_registry::Registry;
///
/// let registry = Registry::builder().dwell(Duration::from_secs(30)).seed(7).build()?;
/// # Ok::<(), brownout_registry::ConfigError>(())
/// ```
#[must_use = "nothing is built until `build` is called"]
pub struct RegistryBuilder {
    dwell: Duration,
    policy: Option<Box<dyn LevelPolicy>>,
    seed: Option<u64>,
}

impl Registry {
    /// A registry with the defaults: a dwell of 15 s, [`StandardPolicy`](crate::StandardPolicy), a random seed.
    pub fn new() -> Self {
        RegistryBuilder::new().finish()
    }

    /// Configures a registry.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::new()
    }

    /// Describes a dependency, to register it or to find the one that has this name already.
    ///
    /// A name is 1 to 128 visible ASCII characters other than `:`.
    pub fn dependency(&self, name: impl Into<String>) -> DependencyBuilder<'_> {
        DependencyBuilder::new(self, name.into())
    }

    /// The dependency with this name, if it is registered.
    pub fn get(&self, name: &str) -> Option<Dependency> {
        let core = self.shared.change(|state, _| state.find(name))?;
        Some(Dependency::new(core, Arc::clone(&self.shared)))
    }

    /// Every dependency, sorted by name.
    pub fn dependencies(&self) -> Vec<Dependency> {
        let cores = self.shared.change(|state, _| state.cores());
        cores
            .into_iter()
            .map(|core| Dependency::new(core, Arc::clone(&self.shared)))
            .collect()
    }

    /// How far the system has stepped back.
    ///
    /// It rises at once and falls after a dwell without relapse. One atomic load unless something in the registry will
    /// expire; then the clock is read as well.
    #[inline]
    pub fn level(&self) -> DegradationLevel {
        DegradationLevel::from_code(self.shared.word())
    }

    /// How the whole system is; as cheap as [`level`](Self::level).
    #[inline]
    pub fn health(&self) -> SystemHealth {
        SystemHealth::from_code(self.shared.word() >> 2)
    }

    /// Calls `f` after every change of the [level](Self::level), outside every lock.
    ///
    /// A level that falls after its dwell, or because an override expires, is noticed by the next read of the registry,
    /// or promptly where a [`Driver`] runs. As with [`OverrideCell::on_change`], a panic in `f` is caught and logged,
    /// `f` runs in the thread that caused the change, and should own no strong handle on the registry.
    pub fn on_level_change(&self, f: impl Fn() + Send + Sync + 'static) -> Subscription {
        self.shared.level_callbacks.subscribe(f)
    }

    /// An immutable picture of everything. Pictures are shared until something changes.
    ///
    /// Only what has changed since the last one is drawn anew, but each picture lists every dependency: making one takes
    /// time in proportion to their number, with the registry's lock held, which reports wait for. For a hundred
    /// dependencies that is microseconds, for 100,000 several milliseconds; do not take pictures of such a registry on
    /// every request.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        let (picture, _replaced) = self.shared.change(crate::state::State::snapshot);
        picture
    }

    /// Follows level, health and revision.
    pub fn watch(&self) -> Watch {
        Watch::new(&self.shared)
    }

    /// Follows everything that happens from now on.
    pub fn events(&self) -> Events {
        Events::new(Arc::clone(&self.shared.log))
    }

    /// The last events, at most 256, the oldest first.
    pub fn recent_events(&self) -> Vec<Arc<Event>> {
        self.shared.settle();
        self.shared.log.recent()
    }

    /// Imposes a degradation level until the order expires or is released.
    pub fn override_level(
        &self,
        level: DegradationLevel,
        order: Order,
    ) -> Result<OverrideId, OverrideError> {
        self.shared
            .override_place(Place::Level, OverrideValue::Level(level), order)
    }

    /// Imposes a state on the flag with this name until the order expires or is released, whether or not anything
    /// reads that flag yet.
    pub fn override_flag(
        &self,
        flag: &str,
        state: FeatureState,
        order: Order,
    ) -> Result<OverrideId, OverrideError> {
        self.shared.override_flag(flag, state, order)
    }

    /// What a flag reads on each call to know the state imposed on it. Fails if the name is not valid or the registry
    /// is full.
    pub fn flag_override(&self, flag: &str) -> Result<OverrideCell<FeatureState>, RegisterError> {
        self.shared.flag_cell(flag)
    }

    /// What a flag reads to know whether the [fleet](crate::fleet) has degraded it, for too many failed calls on all
    /// replicas together. Fails if the name is not valid or the registry is full.
    pub fn flag_trip(&self, flag: &str) -> Result<OverrideCell<FeatureState>, RegisterError> {
        self.shared.trip_cell(flag)
    }

    /// Ends an override before its time; the next older one of its target counts again.
    pub fn release(&self, id: OverrideId) -> Result<(), OverrideError> {
        self.shared.change(|state, now| state.release(id, now))
    }

    /// Every active override, the oldest first.
    pub fn overrides(&self) -> Vec<OverrideInfo> {
        self.shared.change(|state, _| state.overrides())
    }

    /// Puts a transition of another component into the stream of events.
    ///
    /// It is numbered and kept, but neither logged (whoever has the transition logs it) nor judged (what it means for a
    /// dependency is a report). Only the kinds that begin with `Circuit`, `Fallback`, `Tier`, `Part` or `Flag` are taken.
    /// The others are the registry's own to say: a reader of the stream must be able to rely on them, so they are
    /// ignored here.
    pub fn record(&self, event: EventKind) {
        if event.is_from_outside() {
            self.shared.change(|state, now| state.record(event, now));
        }
    }

    /// A generator for a part of the system, seeded from the registry's own.
    pub fn random(&self) -> Random {
        self.shared.random.child()
    }

    /// Makes known what a part of the system counts. The registry keeps no part alive by that: one that goes
    /// [retires](Self::retire_meter) its meter.
    pub fn attach_meter<M: Meter + 'static>(&self, meter: &Arc<M>) {
        self.shared.meters.attach(meter);
    }

    /// Keeps what a part has counted that is about to go, so that totals do not fall.
    pub fn retire_meter(&self, meter: &dyn Meter) {
        self.shared.meters.retire(meter);
    }

    /// What all parts have counted so far, those that are gone included. Adds up many counters: for exporters, not for
    /// every call.
    pub fn readings(&self) -> Readings {
        self.shared.meters.read()
    }

    /// Asks all parts, present and to come, to keep the times of calls. That costs each call two readings of the clock,
    /// so nobody does it unasked.
    pub fn time_calls(&self) {
        self.shared.meters.time_calls();
    }

    /// Joins a [fleet](crate::fleet) of replicas, which share what they know and decide through this store.
    ///
    /// From now on the fleet's overrides are in force here, beneath those of this registry; flags count for the fleet
    /// and follow it; and the dependency `fleet-store` says whether the store is there. All that happens in background
    /// tasks, on the present tokio runtime, until the guard is dropped: then everything that came from the fleet is
    /// taken back. A store that is away, now or later, changes nothing but that dependency's status.
    ///
    /// Fails if a setting is out of range, if there is no runtime with time enabled, or if the registry is in a fleet
    /// already.
    pub fn join_fleet<S: FleetStore>(
        &self,
        store: S,
        settings: FleetSettings,
    ) -> Result<FleetGuard, JoinError> {
        FleetGuard::join(self, store, settings)
    }

    /// The fleet that this registry has joined, and not left.
    pub fn fleet(&self) -> Option<Fleet> {
        Fleet::of(&self.shared)
    }

    /// Starts the background task that makes expiries prompt and runs all probes, also those attached later.
    ///
    /// It needs a tokio runtime with time enabled; without one the driver is idle, and an error is logged. All drivers
    /// of a registry guard the same one task, on the runtime of whoever drove first. It ends when the last of them is
    /// dropped, or when that runtime shuts down; then the verdicts of its probes are withdrawn, and the guards that are
    /// left are [idle](Driver::is_running) until somebody calls this again.
    pub fn drive(&self) -> Driver {
        Driver::start(&self.shared)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("level", &self.level())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

impl RegistryBuilder {
    /// The default dwell: 15 s, long enough to swallow the flapping of a circuit's first reopenings.
    pub const DEFAULT_DWELL: Duration = Duration::from_secs(15);

    /// The longest dwell that is accepted: one day.
    pub const MAX_DWELL: Duration = DAY;

    fn new() -> Self {
        Self {
            dwell: Self::DEFAULT_DWELL,
            policy: None,
            seed: None,
        }
    }

    /// How long the raw level must have been lower before the published level falls. Zero: it falls at once.
    pub fn dwell(mut self, dwell: Duration) -> Self {
        self.dwell = dwell;
        self
    }

    /// The rule for the level in place of [`StandardPolicy`](crate::StandardPolicy).
    pub fn level_policy(mut self, policy: impl LevelPolicy) -> Self {
        self.policy = Some(Box::new(policy));
        self
    }

    /// Makes every random choice repeatable.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds the registry. Fails if the dwell is longer than [`MAX_DWELL`](Self::MAX_DWELL).
    pub fn build(self) -> Result<Registry, ConfigError> {
        if self.dwell > Self::MAX_DWELL {
            return Err(ConfigError::DwellTooLong { dwell: self.dwell });
        }
        Ok(self.finish())
    }

    fn finish(self) -> Registry {
        let random = self
            .seed
            .map_or_else(Random::from_entropy, Random::from_seed);
        Registry {
            shared: Shared::new(self.dwell, self.policy, random),
        }
    }
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder")
            .field("dwell", &self.dwell)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
