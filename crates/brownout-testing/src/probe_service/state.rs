//! What all instances, futures and handles of one probe share.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard};
use std::task::{Poll, Waker};

use tokio::sync::Notify;

use super::behaviour::{Behaviour, Readiness};
use super::counts::Counts;
use super::violation::{Standing, Violation};
use crate::sync::lock;

/// How many calls are remembered one by one, and how many violations.
const REMEMBERED: usize = 1024;

pub(super) struct Shared<Req, Res, E> {
    state: Mutex<State<Req, Res, E>>,
    /// Told of every change of the counts, for those who wait for one.
    changed: Notify,
}

pub(super) struct State<Req, Res, E> {
    pub(super) counts: Counts,
    pub(super) readiness: Readiness<E>,
    /// One waker an instance: two tasks may wait on two clones.
    pub(super) waiting: HashMap<u64, Waker>,
    pub(super) script: VecDeque<Behaviour<Req, Res, E>>,
    pub(super) default: Behaviour<Req, Res, E>,
    /// Calls that wait for their release, oldest first.
    pub(super) held: BTreeMap<u64, Held>,
    pub(super) violations: Vec<Violation>,
    next_instance: u64,
    next_call: u64,
    polls: VecDeque<usize>,
}

pub(super) enum Held {
    Waiting(Waker),
    Released,
}

impl<Req, Res, E> Shared<Req, Res, E> {
    pub(super) fn new(default: Behaviour<Req, Res, E>) -> Self {
        Self {
            state: Mutex::new(State {
                counts: Counts {
                    instances: 1,
                    ..Counts::default()
                },
                readiness: Readiness::Ready,
                waiting: HashMap::new(),
                script: VecDeque::new(),
                default,
                held: BTreeMap::new(),
                violations: Vec::new(),
                next_instance: 1,
                next_call: 0,
                polls: VecDeque::new(),
            }),
            changed: Notify::new(),
        }
    }

    /// Reads the state. No user code may run, and no waker be woken or dropped, while this is held.
    pub(super) fn read(&self) -> MutexGuard<'_, State<Req, Res, E>> {
        lock(&self.state)
    }

    /// Changes the state, then tells those who wait for a change. The lock is released before anyone is woken.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State<Req, Res, E>) -> T) -> T {
        let out = change(&mut lock(&self.state));
        self.changed.notify_waiters();
        out
    }

    pub(super) fn changed(&self) -> &Notify {
        &self.changed
    }

    /// Keeps the breach for the handle, then panics with it.
    pub(super) fn violated(&self, violation: Violation) -> ! {
        let message = violation.to_string();
        self.change(|state| {
            if state.violations.len() < REMEMBERED {
                state.violations.push(violation);
            }
        });
        panic!("{message}");
    }

    /// Waits for the release of a held call.
    pub(super) fn poll_released(&self, call: u64, waker: Waker) -> Poll<()> {
        let mut state = self.read();
        let before = match state.held.remove(&call) {
            Some(Held::Released) => return Poll::Ready(()),
            before => before,
        };
        state.held.insert(call, Held::Waiting(waker));
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl<Req, Res, E> State<Req, Res, E> {
    pub(super) fn new_instance(&mut self) -> u64 {
        let id = self.next_instance;
        self.next_instance += 1;
        self.counts.clones += 1;
        self.counts.instances += 1;
        id
    }

    pub(super) fn new_call(&mut self) -> u64 {
        let id = self.next_call;
        self.next_call += 1;
        self.counts.call_started();
        if self.polls.len() == REMEMBERED {
            self.polls.pop_front();
        }
        self.polls.push_back(0);
        id
    }

    /// The next behaviour of the script, else the default.
    pub(super) fn next_behaviour(&mut self) -> Behaviour<Req, Res, E> {
        self.script
            .pop_front()
            .unwrap_or_else(|| self.default.clone())
    }

    pub(super) fn count_poll(&mut self, call: u64) {
        self.counts.future_polls += 1;
        if let Some(polls) = self
            .index_of(call)
            .and_then(|index| self.polls.get_mut(index))
        {
            *polls += 1;
        }
    }

    pub(super) fn polls_of(&self, call: u64) -> Option<usize> {
        self.polls.get(self.index_of(call)?).copied()
    }

    pub(super) fn restand(&mut self, from: Standing, to: Standing) {
        let ready = |standing| usize::from(standing == Standing::Ready);
        self.counts.reserved = self.counts.reserved + ready(to) - ready(from);
    }

    fn index_of(&self, call: u64) -> Option<usize> {
        let forgotten = self.next_call - self.polls.len() as u64;
        usize::try_from(call.checked_sub(forgotten)?).ok()
    }
}

impl<Req, Res, E> fmt::Debug for Shared<Req, Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.read();
        f.debug_struct("Probe")
            .field("readiness", &state.readiness)
            .field("counts", &state.counts)
            .finish_non_exhaustive()
    }
}
