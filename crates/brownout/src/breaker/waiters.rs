//! Tasks that wait for a circuit to change: a slot with a waker for each waiting service, so that none is forgotten
//! for another's sake, and nobody polls.

use std::task::Waker;

use crate::core::sync::{Mutex, lock};

#[derive(Debug, Default)]
pub(super) struct Waiters(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

/// A service's place among the waiters; given back with [`Waiters::leave`].
#[derive(Debug)]
pub(super) struct Place(usize);

impl Waiters {
    /// Waits for the next change. After this the caller looks once more whether it still has to wait.
    pub(super) fn join(&self, place: &mut Option<Place>, waker: &Waker) {
        // Cloning and dropping wakers runs their executor's code: neither is done under the lock.
        let waker = Some(waker.clone());
        let mut slots = lock(&self.0);
        let index = if let Some(Place(index)) = place {
            *index
        } else {
            let index = slots.free.pop().unwrap_or_else(|| {
                slots.wakers.push(None);
                slots.wakers.len() - 1
            });
            *place = Some(Place(index));
            index
        };
        let old = std::mem::replace(&mut slots.wakers[index], waker);
        drop(slots);
        drop(old);
    }

    /// Waits no more.
    #[allow(clippy::needless_pass_by_value, reason = "the place is given up")]
    pub(super) fn leave(&self, place: Place) {
        let mut slots = lock(&self.0);
        let old = slots.wakers[place.0].take();
        slots.free.push(place.0);
        if slots.free.len() == slots.wakers.len() {
            // Nobody waits: what a crowd once needed is given back.
            *slots = Slots::default();
        }
        drop(slots);
        drop(old);
    }

    /// Wakes everybody who waits.
    pub(super) fn wake_all(&self) {
        let mut slots = lock(&self.0);
        if slots.free.len() == slots.wakers.len() {
            return;
        }
        let woken: Vec<_> = slots.wakers.iter_mut().filter_map(Option::take).collect();
        drop(slots);
        for waker in woken {
            waker.wake();
        }
    }

    #[cfg(all(test, brownout_loom))]
    pub(super) fn waiting(&self) -> usize {
        let slots = lock(&self.0);
        slots.wakers.len() - slots.free.len()
    }
}
