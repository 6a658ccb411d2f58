//! The mirror, and the registry kept in step with it.
//!
//! Values change in the mirror under a lock, in the order in which the store has them. They are put into the registry
//! outside it, because that wakes, logs and calls back; by one thread at a time, so that the order is the same there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::Instant;

use super::held::{Held, HeldEntry};
use super::mirror::{Mirror, Name};
use crate::caught::caught;
use crate::clock::Clock;
use crate::shared::Shared;
use crate::state::{FleetOrder, State};

#[derive(Debug)]
pub(super) struct Desk {
    registry: Weak<Shared>,
    inner: Mutex<Inner>,
    /// Whether the fleet was left: then nothing of it stays in the registry. Apart, because it is read under the registry's
    /// lock, which must not wait for the other.
    left: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    mirror: Mirror,
    /// Whose values the registry does not have yet.
    dirty: BTreeSet<Name>,
    /// Whether somebody puts values into the registry.
    moving: bool,
}

/// A value on its way to the registry.
enum Value {
    Stack(crate::overrides::Target, Held),
    Trip(Arc<str>, Option<Instant>),
}

/// So many values are put into the registry at a time: its lock is held meanwhile, and reports wait for it.
const BATCH: usize = 64;

impl Desk {
    pub(super) fn new(registry: &Arc<Shared>) -> Self {
        Self {
            registry: Arc::downgrade(registry),
            inner: Mutex::default(),
            left: AtomicBool::new(false),
        }
    }

    /// Looks at the mirror.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Mirror) -> R) -> R {
        look(&self.lock().mirror)
    }

    /// Changes the mirror, and then the registry with it.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut Mirror, &mut Vec<Name>) -> R) -> R {
        let mut inner = self.lock();
        let mut changed = Vec::new();
        let result = change(&mut inner.mirror, &mut changed);
        inner.dirty.extend(changed);
        drop(inner);
        self.settle();
        result
    }

    /// Forgets the fleet, here and in the registry.
    pub(super) fn leave(&self) {
        // Both under the registry's lock: what another thread is about to put there finds that the fleet was left, and
        // whoever joins the next one, who can only do so from then on, has nothing of that taken away.
        if let Some(registry) = self.registry.upgrade() {
            let leave = |state: &mut State, now| {
                self.left.store(true, Ordering::Release);
                state.leave_fleet(now);
            };
            // The log is told of all that is taken back, and may panic.
            caught(|| registry.change(leave));
        }
        // Where there is no registry any more.
        self.left.store(true, Ordering::Release);
        let mut inner = self.lock();
        let mirror = std::mem::take(&mut inner.mirror);
        let dirty = std::mem::take(&mut inner.dirty);
        drop(inner);
        // Much, perhaps: freed outside the lock.
        drop((mirror, dirty));
    }

    pub(super) fn is_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    fn settle(&self) {
        while let Some((moving, values)) = self.next() {
            let Some(registry) = self.registry.upgrade() else {
                return;
            };
            registry.change(|state, now| {
                // Another fleet may have been joined since.
                if self.is_left() {
                    return;
                }
                for value in values {
                    put(state, value, now);
                }
            });
            drop(moving);
        }
    }

    /// The next values to be put into the registry, unless somebody is at it: who then comes back for these.
    fn next(&self) -> Option<(Moving<'_>, Vec<Value>)> {
        let now = Instant::now();
        let mut inner = self.lock();
        if inner.moving || self.is_left() || inner.dirty.is_empty() {
            return None;
        }
        let mut values = Vec::new();
        while values.len() < BATCH
            && let Some(name) = inner.dirty.pop_first()
        {
            values.push(match name {
                Name::Stack(target) => {
                    let held = inner.mirror.held(&target, now);
                    Value::Stack(target, held)
                }
                Name::Trip(flag) => {
                    let until = inner.mirror.tripped(&flag);
                    Value::Trip(flag, until)
                }
            });
        }
        inner.moving = true;
        Some((Moving(self), values))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to put values into the registry. Given back also when a log panics.
struct Moving<'a>(&'a Desk);

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.0.lock().moving = false;
    }
}

fn put(state: &mut State, value: Value, now: u64) {
    let present = Instant::now();
    let at = |then: Instant| Clock::deadline(now, then.saturating_duration_since(present));
    let ago = |then: Instant| {
        let age = present.saturating_duration_since(then).as_nanos();
        now.saturating_sub(u64::try_from(age).unwrap_or(u64::MAX))
            .max(1)
    };
    match value {
        Value::Stack(target, held) => {
            let order = |entry: HeldEntry| FleetOrder {
                id: entry.id,
                value: entry.value,
                actor: entry.actor,
                reason: entry.reason,
                set_at: ago(entry.set_at),
                until: at(entry.until),
            };
            let orders = held.entries.into_iter().map(order).collect();
            state.set_fleet(&target, orders, now);
        }
        Value::Trip(flag, until) => state.set_trip(&flag, until.map(at), now),
    }
}
