use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use brownout_registry::{Dependency, Subscription};
use indexmap::IndexMap;
use tokio::time::Instant;

use crate::core::{
    ConfigError, Origin,
    config::count,
    sync::{Mutex, lock},
};

use super::{
    cell::Cell,
    circuit::Circuit,
    clock::Clock,
    engine::{Effects, Engine},
    family::Family,
    machine::Nanos,
    meter::Metering,
    policy::Policy,
    shared::{Core, Shared},
    voice::Voice,
    waiters::Waiters,
};

/// A circuit for each key (route, host, shard, tenant), so that one dead shard does not reject calls to the others.
///
/// Circuits are made on first use and bounded in number. When there is no room, one that is closed and was not used
/// lately makes room; if none is, newcomers share one overflow circuit. The dependency is `Degraded` while any
/// circuit is not closed, and `Unhealthy` when half of at least 20 calls of the last 10 s were refused.
///
/// A shard or tenant that is gone for good may leave an open circuit behind. One that has had no call for ten minutes
/// since a probe was due no longer degrades the dependency; it still begins with a probe when it is called again. But
/// from then on it may make room as if it were closed, unless somebody holds a handle on it, and its key then starts
/// anew.
///
/// A circuit takes about 500 bytes with the default policy, its place in the map included. Clones are cheap and share
/// the circuits. Keys appear in events and logs, cut off after 128 bytes, never in metrics.
pub struct KeyedCircuits<K> {
    inner: Arc<Inner<K>>,
}

struct Inner<K> {
    shards: Box<[Mutex<Shard<K>>]>,
    hasher: RandomState,
    shard_capacity: usize,
    overflow: Arc<Cell>,
    shared: Arc<Shared>,
    origin: Origin,
    policy: Mutex<Arc<Policy>>,
    /// Wakes those who wait for one of the circuits when an operator steps in.
    _mode_changes: Subscription,
}

/// A share of the keys, with a hand that goes round to find one that may go ("second chance": Corbató 1968).
struct Shard<K> {
    entries: IndexMap<K, Arc<Cell>, RandomState>,
    /// Whether it was used since the hand last passed, entry by entry. Apart, because beside a pointer a bit takes a
    /// word.
    used: Vec<bool>,
    hand: usize,
}

/// A circuit that has made room, and what is to be told of that. Dropped outside the lock: a key is the user's.
struct Evicted<K> {
    #[expect(dead_code, reason = "only kept to be dropped")]
    key: K,
    cell: Arc<Cell>,
    effects: Effects,
}

const SHARDS: usize = 16;
/// How far the hand goes for one newcomer; a fixed price, however many keys there are.
const HAND_STEPS: usize = 32;
const KEY_TEXT: usize = 128;

impl<K> KeyedCircuits<K>
where
    K: Hash + Eq + Clone + fmt::Display,
{
    /// Up to 10,000 keys with the default policy.
    pub fn new(dependency: &Dependency) -> Self {
        Self::build(dependency, Policy::default(), 10_000)
    }

    /// Up to `capacity` keys, 1 to 1,000,000, rounded up to a multiple of 16, each with a circuit of this policy.
    ///
    /// # Errors
    ///
    /// If the capacity is out of range.
    pub fn with(
        dependency: &Dependency,
        policy: Policy,
        capacity: u32,
    ) -> Result<Self, ConfigError> {
        let capacity = count("capacity", capacity, 1_000_000)?;
        Ok(Self::build(dependency, policy, capacity as usize))
    }

    fn build(dependency: &Dependency, policy: Policy, capacity: usize) -> Self {
        let epoch = Instant::now();
        let shared = Arc::new(Shared {
            dependency: dependency.clone(),
            mode: dependency.circuit_override(),
            clock: Clock::tokio(epoch),
            epoch,
            random: dependency.registry().random(),
            waiters: Arc::new(Waiters::default()),
            voice: Voice::Family(Family::new(dependency)),
            metering: Metering::new(),
        });
        dependency.registry().attach_meter(&shared);
        let mode_changes = {
            let waiters = Arc::clone(&shared.waiters);
            shared.mode.on_change(move || waiters.wake_all())
        };
        let policy = Arc::new(policy);
        let origin = Origin::new(dependency, epoch);
        let overflow = cell(&shared, &policy, &origin, &"(overflow)");
        Self {
            inner: Arc::new(Inner {
                shards: (0..SHARDS)
                    .map(|_| {
                        Mutex::new(Shard {
                            entries: IndexMap::with_hasher(RandomState::new()),
                            used: Vec::new(),
                            hand: 0,
                        })
                    })
                    .collect(),
                hasher: RandomState::new(),
                shard_capacity: capacity.div_ceil(SHARDS),
                overflow,
                shared,
                origin,
                policy: Mutex::new(policy),
                _mode_changes: mode_changes,
            }),
        }
    }

    /// The key's circuit, if it has one.
    pub fn get(&self, key: &K) -> Option<Circuit> {
        let shard = lock(self.shard(key));
        let cell = shard.entries.get(key).map(Arc::clone);
        drop(shard);
        cell.as_ref().map(Circuit::of_cell)
    }

    /// The circuit that keys share when there is no room for one of their own.
    pub fn overflow(&self) -> Circuit {
        Circuit::of_cell(&self.inner.overflow)
    }

    /// How many keys have a circuit.
    pub fn len(&self) -> usize {
        self.inner
            .shards
            .iter()
            .map(|shard| lock(shard).entries.len())
            .sum()
    }

    /// Whether no key has a circuit yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes the policy of every circuit, present and to come. States and counts stay.
    pub fn reconfigure(&self, policy: Policy) {
        let policy = Arc::new(policy);
        *lock(&self.inner.policy) = policy;
        for shard in &self.inner.shards {
            // Told one by one outside the lock: what a circuit tells the world may come back here.
            let cells: Vec<_> = lock(shard).entries.values().map(Arc::clone).collect();
            for cell in cells {
                cell.core
                    .reconfigure(|| Arc::clone(&lock(&self.inner.policy)));
            }
        }
        self.inner
            .overflow
            .core
            .reconfigure(|| Arc::clone(&lock(&self.inner.policy)));
        self.inner.shared.waiters.wake_all();
    }

    /// The cell of the key's circuit, made if there is room.
    pub(super) fn cell(&self, key: K) -> Arc<Cell> {
        let shard = self.shard(&key);
        if let Some(cell) = lock(shard).used(&key) {
            return cell;
        }
        // Made outside the lock: a key's text is the user's code.
        let policy = Arc::clone(&lock(&self.inner.policy));
        let made = cell(&self.inner.shared, &policy, &self.inner.origin, &key);
        let mut entries = lock(shard);
        if let Some(cell) = entries.used(&key) {
            return cell;
        }
        let evicted = if entries.entries.len() >= self.inner.shard_capacity {
            let Some(evicted) = entries.evict(self.inner.shared.clock.now()) else {
                return Arc::clone(&self.inner.overflow);
            };
            Some(evicted)
        } else {
            None
        };
        entries.entries.insert(key, Arc::clone(&made));
        entries.used.push(true);
        drop(entries);
        if !Arc::ptr_eq(&policy, &lock(&self.inner.policy)) {
            made.core
                .reconfigure(|| Arc::clone(&lock(&self.inner.policy)));
        }
        if let Some(evicted) = evicted {
            evicted.cell.core.tell(&evicted.effects);
        }
        made
    }

    pub(super) fn counted(&self, admitted: bool) {
        if let Voice::Family(family) = &self.inner.shared.voice {
            family.counted(admitted, self.inner.shared.clock.now());
        }
    }

    fn shard(&self, key: &K) -> &Mutex<Shard<K>> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the remainder is below sixteen"
        )]
        let index = (self.inner.hasher.hash_one(key) % SHARDS as u64) as usize;
        &self.inner.shards[index]
    }
}

impl<K: Hash + Eq> Shard<K> {
    fn used(&mut self, key: &K) -> Option<Arc<Cell>> {
        let (index, _, cell) = self.entries.get_full(key)?;
        self.used[index] = true;
        Some(Arc::clone(cell))
    }

    /// Takes out a circuit that is closed or long overdue, has no call out and was not used since the hand last passed.
    fn evict(&mut self, now: Nanos) -> Option<Evicted<K>> {
        for _ in 0..HAND_STEPS {
            self.hand = if self.hand + 1 < self.entries.len() {
                self.hand + 1
            } else {
                0
            };
            let (_, cell) = self.entries.get_index(self.hand)?;
            let recently_used = std::mem::replace(&mut self.used[self.hand], false);
            let idle = !recently_used && Arc::strong_count(cell) == 1;
            if idle && let Some(effects) = cell.core.engine.retire(now) {
                let (key, cell) = self.entries.swap_remove_index(self.hand)?;
                self.used.swap_remove(self.hand);
                return Some(Evicted { key, cell, effects });
            }
        }
        None
    }
}

fn cell(
    shared: &Arc<Shared>,
    policy: &Arc<Policy>,
    origin: &Origin,
    key: &impl fmt::Display,
) -> Arc<Cell> {
    let mut text = key.to_string();
    if text.len() > KEY_TEXT {
        let end = (0..=KEY_TEXT).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or(0));
    }
    let core = Core {
        engine: Engine::keyed(policy),
        shared: Arc::clone(shared),
        key: Some(text.into()),
    };
    Arc::new(Cell::with_origin(Arc::new(core), 0, origin.clone()))
}

impl<K> Clone for KeyedCircuits<K> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K> fmt::Debug for KeyedCircuits<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedCircuits")
            .field("dependency", &self.inner.shared.dependency.name())
            .finish_non_exhaustive()
    }
}
