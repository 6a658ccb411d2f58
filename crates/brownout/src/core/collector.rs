//! The marks of one request, from wherever in its call tree they are made.
//!
//! While something is polled for a request, that request's slot lies in a thread-local; layers far below, which
//! know nothing of the request, find it there. Swapping it costs a few nanoseconds a poll, ten times less than an entry
//! in a request's extensions, and reaches outbound clients, which never see that request.

#![cfg_attr(
    not(feature = "http"),
    allow(dead_code, reason = "only HTTP answers show what was collected")
)]

use std::{
    cell::Cell,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::{Degraded, Marks};

/// Where the marks of one request go.
///
/// The collector itself is made for the first mark, or for the first task of its own that may make one: a request of which
/// nothing is missing allocates nothing.
#[derive(Debug, Default)]
pub(crate) enum Slot {
    /// Nobody collects.
    #[default]
    Closed,
    /// Somebody collects, and there is nothing yet.
    Open,
    /// This is it.
    Filled(Collector),
}

/// Collects the marks of one request; clones are the same. Holds at most [`Marks::MAX`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Collector(Arc<Mutex<Collected>>);

#[derive(Debug, Default)]
struct Collected {
    marks: Vec<Degraded>,
    /// How many of them the caller has been told of.
    told: usize,
}

/// While this lives, marks that are made on this thread go to its slot.
#[must_use = "the slot is current only as long as this lives"]
pub(crate) struct Current<'a>(&'a mut Slot);

thread_local! {
    static CURRENT: Cell<Slot> = const { Cell::new(Slot::Closed) };
}

/// Whether anything in this process has ever collected marks: what most answers of tiers need to know.
static EVER: AtomicBool = AtomicBool::new(false);

impl Slot {
    /// Makes this slot the current one.
    #[inline]
    pub(crate) fn enter(&mut self) -> Current<'_> {
        if !EVER.load(Relaxed) {
            EVER.store(true, Relaxed);
        }
        swap(self);
        Current(self)
    }

    /// One whose marks go where the current one's go.
    pub(crate) fn current() -> Self {
        look(|slot| slot.collector().cloned().map_or(Self::Closed, Self::Filled))
    }

    /// Whether there is anything in it.
    #[inline]
    pub(crate) const fn is_filled(&self) -> bool {
        matches!(self, Self::Filled(_))
    }

    /// Adds a mark, if anybody collects them.
    pub(crate) fn push(&mut self, mark: &Degraded) {
        if let Some(collector) = self.collector() {
            collector.push(mark);
        }
    }

    /// The marks that have come since this was last asked.
    pub(crate) fn tell(&self) -> Vec<Degraded> {
        match self {
            Self::Filled(collector) => collector.tell(),
            Self::Open | Self::Closed => Vec::new(),
        }
    }

    /// Made now, if it was not before.
    fn collector(&mut self) -> Option<&Collector> {
        if matches!(self, Self::Open) {
            *self = Self::Filled(Collector::default());
        }
        match self {
            Self::Filled(collector) => Some(collector),
            Self::Open | Self::Closed => None,
        }
    }
}

impl Collector {
    /// Adds a mark, unless there is one that says as much or more. It takes the place of one that says less, so that who
    /// knows the age of a copy can add that to what a layer has said; and where there is no room left, one that the caller
    /// would see takes the place of one that they would not. What the caller has been told stays.
    fn push(&self, mark: &Degraded) {
        let mut collected = self.lock();
        if collected.marks.iter().any(|known| mark.says_within(known)) {
            return;
        }
        let Collected { marks, told } = &mut *collected;
        let has_room = marks.len() < Marks::MAX;
        let untold = &mut marks[*told..];
        if let Some(less) = untold.iter().position(|known| known.says_within(mark)) {
            untold[less] = mark.clone();
        } else if has_room {
            marks.push(mark.clone());
        } else if mark.dependency.is_some()
            && let Some(unseen) = untold.iter_mut().find(|known| known.dependency.is_none())
        {
            *unseen = mark.clone();
        }
    }

    fn tell(&self) -> Vec<Degraded> {
        let mut collected = self.lock();
        let news = collected.marks[collected.told..].to_vec();
        collected.told = collected.marks.len();
        news
    }

    fn lock(&self) -> MutexGuard<'_, Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a mark to the current request's, if somebody collects them.
pub(crate) fn collect(mark: &Degraded) {
    look(|current| current.push(mark));
}

/// Whether somebody may be collecting marks: one load.
#[inline]
pub(crate) fn may_be_collecting() -> bool {
    EVER.load(Relaxed)
}

/// Whether somebody collects marks.
pub(crate) fn is_collecting() -> bool {
    look(|current| !matches!(current, Slot::Closed))
}

/// Shows the current slot to something that runs no code of others.
fn look<T: Default>(show: impl FnOnce(&mut Slot) -> T) -> T {
    // A thread that is going down collects nothing any more.
    let shown = CURRENT.try_with(|current| {
        let mut slot = current.take();
        let shown = show(&mut slot);
        current.set(slot);
        shown
    });
    shown.unwrap_or_default()
}

#[inline]
fn swap(slot: &mut Slot) {
    let _ = CURRENT.try_with(|current| *slot = current.replace(mem::take(slot)));
}

impl Drop for Current<'_> {
    #[inline]
    fn drop(&mut self) {
        swap(self.0);
    }
}
