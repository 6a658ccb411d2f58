//! One replica's copy of what the store pushes: a pure state machine of `now`, without I/O.
//!
//! It takes pictures and messages, notices where messages are missing, and says which values have changed here. It also
//! remembers what a store has lost, until that is offered to the store's next life.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::held::{GRACE, Held, HeldEntry};
use super::pushed::{Change, Picture, Stack, StackEntry, StackWrite, Trip};
use super::values::{StoreTime, Version, limits};
use crate::dependency::is_name;
use crate::overrides::{Order, Target};

#[derive(Debug, Default)]
pub(super) struct Mirror {
    /// None before the first picture.
    version: Option<Version>,
    /// A moment, here and at the store.
    clock: Option<(Instant, StoreTime)>,
    /// When the last picture came.
    pictured: Option<Instant>,
    stacks: BTreeMap<Target, Held>,
    trips: BTreeMap<Arc<str>, Instant>,
}

/// Whose value has changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Stack(Target),
    Trip(Arc<str>),
}

/// What a message was good for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It was the next one.
    Next,
    /// It came before, or a picture was faster.
    Old,
    /// Something is missing before it: only a picture helps.
    Gap,
}

/// Ends that differ by less are the same, measured at different times.
const SLACK: Duration = Duration::from_secs(2);

impl Mirror {
    pub(super) fn version(&self) -> Option<Version> {
        self.version
    }

    /// Takes a picture. Says whose values have changed; whoever calls looks at the new ones.
    pub(super) fn picture(&mut self, picture: Picture, now: Instant) -> Vec<Name> {
        self.clock = Some((now, picture.now));
        self.version = Some(picture.version);
        self.pictured = Some(now);
        let mut before = std::mem::take(&mut self.stacks);
        let mut changed = Vec::new();
        for stack in picture.stacks.into_iter().take(limits::VALUES) {
            let target = stack.target.clone();
            match before.remove(&target) {
                Some(held)
                    if held.is_newer(stack.stamp.version, now)
                        || self.is_same(&held, &stack, now) =>
                {
                    self.stacks.insert(target, held);
                }
                _ => {
                    // What cannot be held takes the place of what was held all the same.
                    self.hold(stack, now);
                    changed.push(Name::Stack(target));
                }
            }
        }
        for (target, mut held) in before {
            // What the store holds counts before what it has lost, where there is no room for both.
            let alive = held.until.filter(|until| *until > now);
            let Some(until) = alive.filter(|_| self.has_room(&target)) else {
                changed.push(Name::Stack(target));
                continue;
            };
            // A store takes nothing away before its time: what people release is there, and empty. So it has lost this.
            if until > now + SLACK && !held.is_newer(picture.version, now) {
                held.stamp = None;
            }
            self.stacks.insert(target, held);
        }
        let before = std::mem::take(&mut self.trips);
        for trip in picture.trips.into_iter().take(limits::VALUES) {
            // A picture that was under way for long says of what is over here that a little is left.
            let over = before.get(&trip.flag).copied();
            let over = over.filter(|until| *until <= now && now < *until + SLACK);
            let flag = Arc::clone(&trip.flag);
            let name = self.trip(trip, now);
            if let (Some(over), Some(until)) = (over, self.trips.get_mut(&flag))
                && *until <= over + SLACK
            {
                *until = over;
            }
            changed.extend(name);
        }
        changed.extend(before.into_keys().map(Name::Trip));
        changed
    }

    /// Takes a message, if it is the next.
    pub(super) fn message(
        &mut self,
        version: Version,
        at: StoreTime,
        changes: Vec<Change>,
        now: Instant,
    ) -> (Taken, Vec<Name>) {
        let Some(present) = self.version else {
            return (Taken::Gap, Vec::new());
        };
        if version.epoch != present.epoch || version.revision > present.revision.saturating_add(1) {
            return (Taken::Gap, Vec::new());
        }
        if version.revision <= present.revision {
            // Right after a picture those come that were sent before it. Later ones come from a store that has gone back.
            let fresh = self.pictured.is_some_and(|pictured| now < pictured + GRACE);
            let taken = if fresh { Taken::Old } else { Taken::Gap };
            return (taken, Vec::new());
        }
        self.version = Some(version);
        if self.present(now).is_none_or(|present| present < at) {
            // Not the other way round: a message may have been under way for long.
            self.clock = Some((now, at));
        }
        let take = |change| match change {
            Change::Stack(stack) => self.take(stack, now),
            Change::Trip(trip) => self.trip(trip, now),
        };
        (Taken::Next, changes.into_iter().filter_map(take).collect())
    }

    /// Takes what a write of our own, sent at that time, has been acknowledged as.
    pub(super) fn acknowledge(
        &mut self,
        target: Target,
        written: Held,
        sent: Instant,
        now: Instant,
    ) -> Option<Name> {
        // Somebody else's may have come in between, and be written over it.
        let newer = self.stacks.get(&target).is_some_and(|present| {
            let epoch = |held: &Held| held.version().map(|version| version.epoch);
            let same_epoch = epoch(present) == epoch(&written);
            present.taken >= Some(sent) && same_epoch && present.version() > written.version()
        });
        if newer {
            return None;
        }
        let held = Held {
            acknowledged: Some(now),
            taken: Some(now),
            ..written
        };
        self.stacks.insert(target.clone(), held);
        Some(Name::Stack(target))
    }

    /// What is held of the target, without what has ended.
    pub(super) fn held(&self, target: &Target, now: Instant) -> Held {
        let present = self.stacks.get(target);
        let Some(held) = present.filter(|held| held.until.is_some_and(|until| until > now)) else {
            return Held::default();
        };
        let mut held = held.clone();
        held.entries.retain(|entry| entry.until > now);
        held
    }

    /// Until when the fleet degrades the flag.
    pub(super) fn tripped(&self, flag: &str) -> Option<Instant> {
        self.trips.get(flag).copied()
    }

    /// Whether there is room for another target.
    pub(super) fn has_room(&self, target: &Target) -> bool {
        self.stacks.len() < limits::VALUES || self.stacks.contains_key(target)
    }

    /// What the store has lost, to be written where nobody has written meanwhile; so much of it as one call takes.
    pub(super) fn offers(&self, now: Instant) -> Vec<(Target, Held)> {
        let lost = |(target, held): (&Target, &Held)| {
            let alive = held.until.is_some_and(|until| until > now);
            (held.stamp.is_none() && alive).then(|| (target.clone(), self.held(target, now)))
        };
        let lost = self.stacks.iter().filter_map(lost);
        lost.take(limits::WRITES).collect()
    }

    /// A write of these entries over what is held. None before the first picture.
    pub(super) fn write(
        &self,
        target: &Target,
        held: &Held,
        tag: u64,
        keep_until: Instant,
        now: Instant,
    ) -> Option<StackWrite> {
        let present = self.present(now)?;
        let entry = |entry: &HeldEntry| StackEntry {
            id: entry.id,
            value: entry.value,
            actor: Arc::clone(&entry.actor),
            reason: Arc::clone(&entry.reason),
            set_at: present.before(now.saturating_duration_since(entry.set_at)),
            until: present.after(entry.until.saturating_duration_since(now)),
        };
        Some(StackWrite {
            target: target.clone(),
            expected: held.stamp,
            tag,
            entries: held.entries.iter().map(entry).collect(),
            keep: keep_until.saturating_duration_since(now),
        })
    }

    /// The store's time, as far as is known: it may be a little later there.
    fn present(&self, now: Instant) -> Option<StoreTime> {
        let (then, store) = self.clock?;
        Some(store.after(now.saturating_duration_since(then)))
    }

    /// Whether what is held is what the store says, and ends when it does there.
    fn is_same(&self, held: &Held, stack: &Stack, now: Instant) -> bool {
        let (Some(present), Some(until)) = (self.present(now), held.until) else {
            return false;
        };
        let said = |until: StoreTime| now + until.since(present).min(Order::MAX_TTL);
        let close = |one: Instant, other: Instant| {
            one.max(other).saturating_duration_since(one.min(other)) <= SLACK
        };
        // Our own may be of a time at which our idea of the store's clock was another.
        let ends_so = |entry: &HeldEntry| {
            let there = stack.entries.iter().find(|there| there.id == entry.id);
            close(
                entry.until.max(now),
                there.map_or(now, |there| said(there.until)),
            )
        };
        held.stamp == Some(stack.stamp)
            && close(said(stack.until), until)
            && held.entries.iter().all(ends_so)
    }

    /// Takes a stack of a message, unless we have been told of a later one.
    fn take(&mut self, stack: Stack, now: Instant) -> Option<Name> {
        let present = self.stacks.get(&stack.target);
        let known = present.is_some_and(|held| held.is_newer(stack.stamp.version, now));
        if known { None } else { self.hold(stack, now) }
    }

    fn hold(&mut self, stack: Stack, now: Instant) -> Option<Name> {
        let present = self.present(now)?;
        let target = stack.target;
        if self.stacks.len() >= limits::VALUES {
            let alive = |held: &Held| held.until.is_some_and(|until| until > now);
            self.stacks.retain(|_, held| alive(held));
        }
        if !target.name().is_none_or(is_name) || !self.has_room(&target) {
            return None;
        }
        let entries = stack.entries.into_iter().take(limits::ENTRIES);
        let entries = entries.filter_map(|entry| HeldEntry::from(entry, &target, present, now));
        let held = Held {
            stamp: Some(stack.stamp),
            entries: entries.collect(),
            until: Some(now + stack.until.since(present).min(Order::MAX_TTL)),
            taken: Some(now),
            acknowledged: None,
        };
        self.stacks.insert(target.clone(), held);
        Some(Name::Stack(target))
    }

    fn trip(&mut self, trip: Trip, now: Instant) -> Option<Name> {
        let present = self.present(now)?;
        if self.trips.len() >= limits::VALUES {
            self.trips.retain(|_, until| *until > now);
        }
        let has_room = self.trips.len() < limits::VALUES || self.trips.contains_key(&trip.flag);
        if !is_name(&trip.flag) || !has_room {
            return None;
        }
        let until = now + trip.until.since(present).min(Order::MAX_TTL);
        self.trips.insert(Arc::clone(&trip.flag), until);
        Some(Name::Trip(trip.flag))
    }
}
