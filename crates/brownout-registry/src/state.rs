//! Everything behind the lock: a pure state machine of time. No user code, no waking and no logging in here; what a
//! change causes outside is collected in [`Effects`].
//!
//! Time goes forward in steps. Every deadline of the registry is reached through one queue, ordered by time; [`settle`]
//! processes what is due in that order, all that falls on one instant together, each at its own time. So a reader after
//! an hour of silence sees what a prompt observer would have seen.
//!
//! [`settle`]: State::settle

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::clock::{Clock, NEVER, pack};
use crate::entry::Entry;
use crate::error::RegisterError;
use crate::events::{EventKind, EventLog};
use crate::level::{Answers, Counts, Dwell, LevelPolicy, StandardPolicy};
use crate::overrides::{OverrideId, OverrideValue};
use crate::shared::Effects;
use crate::stack::Stack;
use crate::state::flags::{Flag, IdleFlags};
use crate::state::fleet::Waiting;
use crate::state::pictures::Pictures;
use crate::vocab::{DegradationLevel, SystemHealth};

mod dependencies;
mod flags;
mod fleet;
mod orders;
mod pictures;

pub(crate) use fleet::FleetOrder;

/// A registry holds at most so many dependencies, and so many flags: a name made up for each request is a mistake.
const MAX_NAMES: usize = 1_000_000;

/// Whose overrides are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Status(u32),
    Circuit(u32),
    Flag(u32),
    Level,
}

/// Who has a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Dependency(u32),
    Flag(u32),
    Level,
    Dwell,
}

#[derive(Debug)]
pub(crate) struct State {
    clock: Clock,
    log: Arc<EventLog>,
    effects: Effects,
    /// The latest time anything has happened at; time never goes back.
    now: u64,
    revision: u64,
    next_id: u64,
    names: BTreeMap<Arc<str>, u32>,
    entries: Vec<Entry>,
    flag_names: BTreeMap<Arc<str>, u32>,
    flags: Vec<Flag>,
    idle_flags: IdleFlags,
    level_overrides: Stack,
    waiting: Waiting,
    /// Where each active override is.
    places: BTreeMap<u64, Place>,
    /// One place an owner: the earliest time at which something of it may expire.
    queue: BTreeSet<(u64, Owner)>,
    level_queued: Option<u64>,
    dwell_queued: Option<u64>,
    counts: Counts,
    /// Since when the counts wait to be judged.
    unjudged: Option<u64>,
    /// Whether the level policy is the user's, to be asked outside the lock only.
    asks: bool,
    answers: Answers,
    dwell: Dwell,
    level: DegradationLevel,
    health: SystemHealth,
    pictures: Pictures,
    probes: Vec<(u32, usize)>,
    /// The driver that is listened to: the latest that has said anything, or the one after it once that has ended.
    epoch: u64,
}

impl State {
    pub(crate) fn new(clock: Clock, dwell: u64, asks: bool, log: Arc<EventLog>) -> Self {
        Self {
            clock,
            log,
            effects: Effects::default(),
            now: 0,
            revision: 0,
            next_id: 1,
            names: BTreeMap::new(),
            entries: Vec::new(),
            flag_names: BTreeMap::new(),
            flags: Vec::new(),
            idle_flags: IdleFlags::default(),
            level_overrides: Stack::default(),
            waiting: Waiting::new(),
            places: BTreeMap::new(),
            queue: BTreeSet::new(),
            level_queued: None,
            dwell_queued: None,
            counts: Counts::default(),
            unjudged: Some(0),
            asks,
            answers: Answers::default(),
            dwell: Dwell::new(dwell),
            level: DegradationLevel::Full,
            health: SystemHealth::Healthy,
            pictures: Pictures::default(),
            probes: Vec::new(),
            epoch: 0,
        }
    }

    /// The time to work at: two threads may read the clock in one order and come here in the other.
    pub(crate) fn time(&mut self, now: u64) -> u64 {
        self.now = self.now.max(now);
        self.now
    }

    /// Lets everything expire that is due. Fails with the counts that must be judged before time can go on.
    pub(crate) fn settle(&mut self, now: u64) -> Result<(), Counts> {
        loop {
            self.judge()?;
            match self.queue.first() {
                Some(&(at, _)) if at <= now => self.expire(at),
                _ => return Ok(()),
            }
        }
    }

    /// Everything that expires at this one instant.
    fn expire(&mut self, at: u64) {
        let mut touched = Vec::new();
        while let Some(&(due, owner)) = self.queue.first()
            && due <= at
        {
            self.queue.pop_first();
            match owner {
                Owner::Dependency(index) => {
                    self.expire_dependency(index, at);
                    touched.push(index);
                }
                Owner::Flag(index) => {
                    self.flags[index as usize].queued = None;
                    self.expire_trip(index, at);
                    self.expire_overrides(Place::Flag(index), at);
                }
                Owner::Level => {
                    self.level_queued = None;
                    self.expire_overrides(Place::Level, at);
                }
                Owner::Dwell => self.dwell_queued = None,
            }
        }
        for index in touched {
            self.refresh(index, at);
        }
        self.unjudged.get_or_insert(at);
    }

    fn expire_dependency(&mut self, index: u32, at: u64) {
        let entry = &mut self.entries[index as usize];
        entry.queued = None;
        if entry.expire(at) {
            self.show(index);
        }
        self.expire_overrides(Place::Status(index), at);
        self.expire_overrides(Place::Circuit(index), at);
    }

    fn expire_overrides(&mut self, place: Place, at: u64) {
        for entry in self.stack_mut(place).expire(at) {
            self.places.remove(&entry.id);
            let (id, target) = (OverrideId(entry.id), self.target(place));
            self.record(
                EventKind::OverrideExpired {
                    id,
                    target,
                    value: entry.value,
                    actor: entry.actor,
                },
                at,
            );
            self.overrides_changed(place, at);
        }
        self.requeue_place(place);
    }

    /// Judges what has changed since the last judgement. Fails with the counts if the policy must be asked.
    pub(crate) fn judge(&mut self) -> Result<(), Counts> {
        let Some(at) = self.unjudged else {
            return Ok(());
        };
        let raw = if self.asks {
            self.answers.take(&self.counts).ok_or(self.counts)?
        } else {
            StandardPolicy.level(&self.counts)
        };
        self.unjudged = None;
        if raw != self.dwell.raw() {
            self.changed();
        }
        self.dwell.set(raw, at);
        self.derive(at);
        Ok(())
    }

    /// The level that would follow at this moment, without any dwell, if one dependency's traffic said nothing.
    /// Fails with the counts if the policy must be asked.
    pub(crate) fn level_without_traffic(&mut self, index: u32) -> Result<DegradationLevel, Counts> {
        if self.level_overrides.top().is_some() {
            return Ok(self.level);
        }
        let entry = &self.entries[index as usize];
        let criticality = entry.core.criticality();
        let mut counts = self.counts;
        counts.remove(criticality, entry.status);
        counts.add(criticality, entry.without_traffic);
        if self.asks {
            self.answers.take(&counts).ok_or(counts)
        } else {
            Ok(StandardPolicy.level(&counts))
        }
    }

    /// Takes what the policy has answered, nothing where it panicked.
    pub(crate) fn answer(&mut self, counts: Counts, answer: Option<DegradationLevel>) {
        match answer {
            Some(level) => self.answers.insert(counts, level),
            None => self.answers.insert_stopgap(counts),
        }
    }

    fn derive(&mut self, at: u64) {
        let health = self.counts.health();
        if health != self.health {
            let from = std::mem::replace(&mut self.health, health);
            self.record(EventKind::HealthChanged { from, to: health }, at);
            self.changed();
        }
        let (dwelled, until) = self.dwell.level(at);
        Self::requeue(
            &mut self.queue,
            &mut self.effects,
            Owner::Dwell,
            &mut self.dwell_queued,
            until,
        );
        let level = match self.level_overrides.top().map(|entry| entry.value) {
            Some(OverrideValue::Level(level)) => level,
            _ => dwelled,
        };
        if level != self.level {
            let from = std::mem::replace(&mut self.level, level);
            self.record(EventKind::LevelChanged { from, to: level }, at);
            self.changed();
        }
    }

    /// What readers without the lock see of the system.
    pub(crate) fn word(&self) -> u64 {
        pack(
            self.next_deadline().unwrap_or(NEVER),
            self.health.code() << 2 | self.level.code(),
        )
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.queue.first().map(|&(at, _)| at)
    }

    pub(crate) fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.effects)
    }

    fn next_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub(crate) fn record(&mut self, kind: EventKind, at: u64) {
        let event = self.log.push(self.clock.moment(at), kind);
        self.effects.events.push(event);
    }

    /// Something that anybody can see has changed.
    fn changed(&mut self) {
        self.revision += 1;
        self.effects.changed = true;
    }

    /// Something that anybody can see of this dependency has changed.
    fn show(&mut self, index: u32) {
        self.entries[index as usize].view = None;
        self.changed();
    }

    /// Derives the dependency's status anew and publishes it.
    fn refresh(&mut self, index: u32, at: u64) {
        let entry = &mut self.entries[index as usize];
        let (status, without_traffic) = entry.statuses();
        let from = std::mem::replace(&mut entry.status, status);
        entry.without_traffic = without_traffic;
        let due = entry.due();
        entry.core.publish(status, without_traffic, due);
        Self::requeue(
            &mut self.queue,
            &mut self.effects,
            Owner::Dependency(index),
            &mut entry.queued,
            due,
        );
        self.unjudged.get_or_insert(at);
        if from == status {
            return;
        }
        entry.since = at;
        let criticality = entry.core.criticality();
        let (dependency, message) = (Arc::clone(&entry.core.name), entry.reason());
        self.counts.remove(criticality, from);
        self.counts.add(criticality, status);
        self.record(
            EventKind::StatusChanged {
                dependency,
                from,
                to: status,
                message,
            },
            at,
        );
        self.show(index);
    }

    /// Gives an owner its place in the queue.
    fn requeue(
        queue: &mut BTreeSet<(u64, Owner)>,
        effects: &mut Effects,
        owner: Owner,
        queued: &mut Option<u64>,
        due: Option<u64>,
    ) {
        if *queued == due {
            return;
        }
        if let Some(at) = std::mem::replace(queued, due) {
            queue.remove(&(at, owner));
        }
        if let Some(at) = due {
            // Whoever sleeps until the earliest deadline must hear of an earlier one.
            effects.changed |= queue.first().is_none_or(|&(first, _)| at < first);
            queue.insert((at, owner));
        }
    }
}

fn room(held: usize) -> Result<u32, RegisterError> {
    let full = RegisterError::Full { limit: MAX_NAMES };
    if held >= MAX_NAMES {
        Err(full)
    } else {
        u32::try_from(held).map_err(|_| full)
    }
}
