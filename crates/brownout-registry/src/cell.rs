//! The one word through which a layer reads an override on every call.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::time::Instant;

use crate::caught::{caught, logged};
use crate::clock::{pack, packed_deadline};
use crate::shared::Shared;
use crate::vocab::{CircuitMode, FeatureState};

/// A value in force, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overridden<T> {
    /// What is imposed.
    pub value: T,
    /// When it ends by itself.
    pub until: Instant,
}

/// A cheap handle on the override of one target, to be read on every call.
///
/// Reading costs one atomic load while nothing is overridden; the clock is read only while something is. The registry
/// writes the cell; an override past its end is never returned, whether or not anything has processed its expiry.
pub struct OverrideCell<T> {
    core: Arc<CellCore>,
    registry: Arc<Shared>,
    value: PhantomData<fn() -> T>,
}

/// Keeps a callback registered; dropping it removes the callback.
///
/// A call that has begun on another thread may still end after the drop.
#[must_use = "dropping the subscription removes the callback"]
pub struct Subscription {
    core: Weak<CellCore>,
    id: u64,
}

/// A value that fits an [`OverrideCell`].
pub trait Overridable: Copy + sealed::Code {}

pub(crate) mod sealed {
    pub trait Code {
        fn from_code(code: u64) -> Self;
    }
}

macro_rules! overridable {
    ($($kind:ty),+) => {$(
        impl sealed::Code for $kind {
            fn from_code(code: u64) -> Self {
                <$kind>::from_code(code)
            }
        }
        impl Overridable for $kind {}
    )+};
}
overridable!(CircuitMode, FeatureState);

type Callback = Arc<dyn Fn() + Send + Sync>;

/// The shared part: the registry writes it under its lock, handles read it without.
#[derive(Default)]
pub(crate) struct CellCore {
    /// 0 for no override, else the deadline and the value's code.
    word: AtomicU64,
    callbacks: Mutex<Callbacks>,
}

#[derive(Default)]
struct Callbacks {
    next: u64,
    list: Vec<(u64, Callback)>,
}

impl<T> OverrideCell<T> {
    pub(crate) fn new(core: Arc<CellCore>, registry: Arc<Shared>) -> Self {
        Self {
            core,
            registry,
            value: PhantomData,
        }
    }

    /// Whether anything may be overridden: one atomic load. An override that has just expired may still say `true`;
    /// [`get`](Self::get) settles it.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.core.word.load(Ordering::Acquire) != 0
    }

    /// Calls `f` after every set, release and expiry of an override of this target, outside every lock.
    ///
    /// An expiry is noticed by the next read that meets it, or promptly where a [`Driver`](crate::Driver) runs. A panic
    /// in `f` is caught and logged. Keep `f` short: it runs in the thread that caused the change.
    ///
    /// `f` is held by the registry. If it owns a handle on it (a `Registry`, a `Dependency`, a `Reporter`, this cell),
    /// the registry lives until the subscription is dropped; where the subscription in turn is kept by what `f` owns,
    /// neither is ever dropped. Let `f` own weak references.
    pub fn on_change(&self, f: impl Fn() + Send + Sync + 'static) -> Subscription {
        self.core.subscribe(f)
    }
}

impl<T: Overridable> OverrideCell<T> {
    /// The override in force, if any.
    #[inline]
    pub fn get(&self) -> Option<Overridden<T>> {
        let word = self.core.word.load(Ordering::Acquire);
        if word == 0 { None } else { self.get_set(word) }
    }

    #[cold]
    fn get_set(&self, word: u64) -> Option<Overridden<T>> {
        let now = self.registry.clock.now();
        let word = if now < packed_deadline(word) {
            word
        } else {
            self.registry.settle();
            // What is still past its end was asked for from within a policy, which nothing is derived for.
            Some(self.core.word.load(Ordering::Acquire))
                .filter(|&word| now < packed_deadline(word))?
        };
        Some(Overridden {
            value: T::from_code(word),
            until: self.registry.clock.instant(packed_deadline(word)),
        })
    }
}

impl<T> Clone for OverrideCell<T> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            registry: Arc::clone(&self.registry),
            value: PhantomData,
        }
    }
}

impl<T: Overridable + fmt::Debug> fmt::Debug for OverrideCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OverrideCell").field(&self.get()).finish()
    }
}

impl CellCore {
    /// Publishes what counts now: a value's code and its deadline.
    pub(crate) fn set(&self, top: Option<(u64, u64)>) {
        self.word.store(
            top.map_or(0, |(code, until)| pack(until, code)),
            Ordering::Release,
        );
    }

    pub(crate) fn subscribe(
        self: &Arc<Self>,
        f: impl Fn() + Send + Sync + 'static,
    ) -> Subscription {
        let mut callbacks = self
            .callbacks
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let id = callbacks.next;
        callbacks.next += 1;
        callbacks.list.push((id, Arc::new(f)));
        Subscription {
            core: Arc::downgrade(self),
            id,
        }
    }

    /// Calls the subscribers. Called outside the registry's lock, and holds none of its own meanwhile.
    pub(crate) fn notify(&self) {
        let callbacks: Vec<Callback> = {
            let callbacks = self
                .callbacks
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            callbacks
                .list
                .iter()
                .map(|(_, callback)| Arc::clone(callback))
                .collect()
        };
        let called = callbacks.len();
        let returned = callbacks
            .into_iter()
            // The callback too is dropped in there: its subscription may be gone by now, and this its last hold.
            .filter_map(|callback| caught(move || callback()))
            .count();
        // Logged at the end: a log that panics must not keep the others from being called.
        if returned < called {
            let panicked = called - returned;
            logged(|| {
                tracing::error!(
                    panicked,
                    "callbacks on a change panicked; they stay registered"
                );
            });
        }
    }
}

impl fmt::Debug for CellCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CellCore")
            .field("word", &self.word)
            .finish_non_exhaustive()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(core) = self.core.upgrade() else {
            return;
        };
        // Taken out under the lock, dropped outside it: what the callback owns may call back here when it is dropped.
        let _removed = {
            let mut callbacks = core
                .callbacks
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let found = callbacks.list.iter().position(|(id, _)| *id == self.id);
            found.map(|index| callbacks.list.swap_remove(index))
        };
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
