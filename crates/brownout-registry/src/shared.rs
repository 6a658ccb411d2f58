//! The shared half of every handle: the published word, and the one way into the state behind the lock.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::caught::{caught, logged};
use crate::cell::{CellCore, OverrideCell};
use crate::clock::{Clock, VALUE_MASK, packed_deadline};
use crate::driver::DriverSlot;
use crate::error::{OverrideError, RegisterError};
use crate::events::{Event, EventKind, EventLog};
use crate::fleet::Link;
use crate::level::{Counts, LevelPolicy};
use crate::meter::Meters;
use crate::overrides::{Order, OverrideId, OverrideValue};
use crate::random::Random;
use crate::report::Report;
use crate::state::{Place, State};
use crate::vocab::{DegradationLevel, FeatureState};

pub(crate) struct Shared {
    /// The earliest deadline of all, then two bits of health, then two of level. Written under the lock.
    word: AtomicU64,
    pub(crate) clock: Clock,
    state: Mutex<State>,
    policy: Option<Box<dyn LevelPolicy>>,
    policy_failed: AtomicBool,
    /// The threads inside the policy, which must not be asked again from within itself.
    asking: Mutex<Vec<usize>>,
    pub(crate) log: Arc<EventLog>,
    /// Wakes watchers and the driver, when something visible or the earliest deadline has changed. It outlives the
    /// registry for as long as somebody waits.
    pub(crate) changed: Arc<Notify>,
    /// Whom to tell when the level has changed.
    pub(crate) level_callbacks: Arc<CellCore>,
    pub(crate) random: Random,
    pub(crate) meters: Meters,
    pub(crate) driver: Mutex<DriverSlot>,
    /// The fleet that was joined last.
    pub(crate) fleet: Mutex<Weak<Link>>,
}

/// What a change causes outside the registry. Collected under the lock, performed after it is released.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) changed: bool,
    pub(crate) events: Vec<Arc<Event>>,
    pub(crate) cells: Vec<Arc<CellCore>>,
    /// A dependency, a reporter and its private detail.
    pub(crate) details: Vec<[Arc<str>; 3]>,
}

thread_local! {
    /// Its address names the thread. A `ThreadId` cannot be had while a thread's own data is being destroyed.
    static HERE: Cell<u8> = const { Cell::new(0) };
}

impl Shared {
    pub(crate) fn new(
        dwell: Duration,
        policy: Option<Box<dyn LevelPolicy>>,
        random: Random,
    ) -> Arc<Self> {
        let clock = Clock::start();
        let log = Arc::new(EventLog::new());
        let dwell = u64::try_from(dwell.as_nanos()).unwrap_or(u64::MAX);
        let state = State::new(clock, dwell, policy.is_some(), Arc::clone(&log));
        let shared = Arc::new(Self {
            word: AtomicU64::new(0),
            clock,
            state: Mutex::new(state),
            policy,
            policy_failed: AtomicBool::new(false),
            asking: Mutex::default(),
            log,
            changed: Arc::new(Notify::new()),
            level_callbacks: Arc::default(),
            random,
            meters: Meters::default(),
            driver: Mutex::default(),
            fleet: Mutex::default(),
        });
        // A policy may degrade a system that has no dependency yet.
        shared.settle();
        shared
    }

    /// The published word, derived anew if it is due.
    #[inline]
    pub(crate) fn word(&self) -> u64 {
        let word = self.word.load(Ordering::Acquire);
        if word <= VALUE_MASK {
            word
        } else {
            self.pending_word(word)
        }
    }

    #[cold]
    fn pending_word(&self, word: u64) -> u64 {
        if self.clock.now() < packed_deadline(word) {
            return word;
        }
        self.settle();
        self.word.load(Ordering::Acquire)
    }

    /// Lets everything expire that is due.
    pub(crate) fn settle(&self) {
        self.change(|_, _| ());
    }

    /// Runs a change on a state in which everything due has expired, derives what follows from it, publishes that, and
    /// then, with the lock released, performs the effects.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State, u64) -> R) -> R {
        let (mut state, now) = self.settled();
        let result = change(&mut state, now);
        let effects = self.judged(state);
        effects.perform(self);
        result
    }

    fn settled(&self) -> (MutexGuard<'_, State>, u64) {
        loop {
            let mut state = self.lock();
            let now = state.time(self.clock.now());
            let Err(unknown) = state.settle(now) else {
                return (state, now);
            };
            if self.is_asking() {
                return (state, now);
            }
            drop(state);
            self.ask(unknown);
        }
    }

    fn judged<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Effects {
        while let Err(unknown) = state.judge() {
            if self.is_asking() {
                // Judged with the next change from outside the policy.
                return state.take_effects();
            }
            drop(state);
            self.ask(unknown);
            state = self.lock();
        }
        self.word.store(state.word(), Ordering::Release);
        state.take_effects()
    }

    pub(crate) fn level_without_traffic(&self, dependency: u32) -> DegradationLevel {
        loop {
            match self.change(|state, _| state.level_without_traffic(dependency)) {
                Ok(level) => return level,
                // From within the policy, what is published is all there is.
                Err(_) if self.is_asking() => return DegradationLevel::from_code(self.word()),
                Err(unknown) => self.ask(unknown),
            }
        }
    }

    /// Asks the policy, with the lock released, and remembers the answer.
    fn ask(&self, counts: Counts) {
        let Some(policy) = &self.policy else { return };
        let here = here();
        self.asking().push(here);
        let answer = caught(|| policy.level(&counts));
        self.asking().retain(|&thread| thread != here);
        self.lock().answer(counts, answer);
        if answer.is_none() && !self.policy_failed.swap(true, Ordering::Relaxed) {
            logged(|| {
                tracing::error!(
                    ?counts,
                    "the level policy panicked; the standard policy answers in its place (logged once)"
                );
            });
        }
    }

    fn is_asking(&self) -> bool {
        self.asking().contains(&here())
    }

    fn asking(&self) -> MutexGuard<'_, Vec<usize>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn report(&self, dependency: u32, slot: u64, report: Report) {
        // What the slot held is handed out, so that its texts are freed outside the lock.
        let _replaced = self.change(|state, now| state.report(dependency, slot, report, now));
    }

    pub(crate) fn withdraw(&self, dependency: u32, slot: u64) {
        let _withdrawn = self.change(|state, now| state.drop_slot(dependency, slot, now));
    }

    pub(crate) fn override_place(
        &self,
        place: Place,
        value: OverrideValue,
        order: Order,
    ) -> Result<OverrideId, OverrideError> {
        let order = order.validated()?;
        self.change(|state, now| state.set_override(place, value, order, now))
    }

    pub(crate) fn override_flag(
        &self,
        flag: &str,
        value: FeatureState,
        order: Order,
    ) -> Result<OverrideId, OverrideError> {
        let order = order.validated()?;
        self.change(|state, now| {
            let place = state.flag(flag).map_err(|_| OverrideError::InvalidTarget {
                allowed: "a flag's name: 1 to 128 visible ASCII characters other than ':', in a registry that is not full",
            })?;
            state.set_override(place, OverrideValue::Flag(value), order, now)
        })
    }

    pub(crate) fn flag_cell(
        self: &Arc<Self>,
        flag: &str,
    ) -> Result<OverrideCell<FeatureState>, RegisterError> {
        // In one go: a place of which nobody holds anything yet may be given to another flag.
        let cell = self.change(|state, _| {
            let place = state.flag(flag)?;
            Ok(state.cell(place))
        })?;
        Ok(OverrideCell::new(cell, Arc::clone(self)))
    }

    pub(crate) fn trip_cell(
        self: &Arc<Self>,
        flag: &str,
    ) -> Result<OverrideCell<FeatureState>, RegisterError> {
        let cell = self.change(|state, _| match state.flag(flag)? {
            Place::Flag(index) => Ok(Some(state.trip_cell(index))),
            Place::Status(_) | Place::Circuit(_) | Place::Level => Ok(None),
        })?;
        Ok(OverrideCell::new(
            cell.unwrap_or_default(),
            Arc::clone(self),
        ))
    }

    pub(crate) fn override_cell<T>(self: &Arc<Self>, place: Place) -> OverrideCell<T> {
        OverrideCell::new(self.change(|state, _| state.cell(place)), Arc::clone(self))
    }
}

impl Effects {
    fn perform(self, shared: &Shared) {
        if self.changed {
            shared.changed.notify_waiters();
        }
        if !self.events.is_empty() {
            shared.log.wake();
        }
        // Before anything is logged: a log that panics must not keep them from being told.
        for cell in &self.cells {
            cell.notify();
        }
        if self.changes_level() {
            shared.level_callbacks.notify();
        }
        for event in &self.events {
            logged(|| event.log());
        }
        for [dependency, reporter, detail] in &self.details {
            logged(|| tracing::debug!(%dependency, %reporter, %detail, "dependency report"));
        }
    }

    fn changes_level(&self) -> bool {
        let mut kinds = self.events.iter().map(|event| &event.kind);
        kinds.any(|kind| matches!(kind, EventKind::LevelChanged { .. }))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.log.close();
        self.changed.notify_waiters();
    }
}

/// Names this thread among those that live.
fn here() -> usize {
    HERE.with(|here| std::ptr::from_ref(here).addr())
}
