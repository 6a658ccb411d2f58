//! Overrides: set, released, listed.

use std::sync::Arc;

use super::{Owner, Place, State};
use crate::cell::CellCore;
use crate::clock::Clock;
use crate::error::OverrideError;
use crate::events::EventKind;
use crate::overrides::{Order, OverrideId, OverrideInfo, OverrideValue, Scope, Target};
use crate::stack::{self, Stack};

impl State {
    pub(crate) fn set_override(
        &mut self,
        place: Place,
        value: OverrideValue,
        order: Order,
        now: u64,
    ) -> Result<OverrideId, OverrideError> {
        let target = self.target(place);
        if self.stack_mut(place).is_full() {
            return Err(OverrideError::TooMany { target });
        }
        let id = self.next_id();
        let Order { actor, reason, ttl } = order;
        let until = Clock::deadline(now, ttl);
        let entry = stack::Entry {
            id,
            fleet: None,
            value,
            actor: Arc::clone(&actor),
            reason: Arc::clone(&reason),
            set_at: now,
            until,
        };
        self.stack_mut(place).push(entry);
        self.places.insert(id, place);
        let id = OverrideId(id);
        self.record(
            EventKind::OverrideSet {
                id,
                target,
                value,
                actor,
                reason,
                ttl,
            },
            now,
        );
        self.overrides_changed(place, now);
        self.settle_place(place, now);
        Ok(id)
    }

    pub(crate) fn release(&mut self, id: OverrideId, now: u64) -> Result<(), OverrideError> {
        let missing = OverrideError::NotActive { id };
        let place = *self.places.get(&id.0).ok_or(missing.clone())?;
        let entry = self.stack(place).find(id.0).ok_or(missing.clone())?;
        if entry.scope() != Scope::Replica {
            return Err(OverrideError::OfFleet { id });
        }
        let entry = self.stack_mut(place).remove(id.0).ok_or(missing)?;
        self.places.remove(&id.0);
        let target = self.target(place);
        self.record(
            EventKind::OverrideReleased {
                id,
                target,
                value: entry.value,
                actor: entry.actor,
            },
            now,
        );
        self.overrides_changed(place, now);
        self.settle_place(place, now);
        Ok(())
    }

    pub(crate) fn overrides(&self) -> Vec<OverrideInfo> {
        self.places
            .iter()
            .filter_map(|(&id, &place)| self.info(place, id))
            .collect()
    }

    /// The override in force at a place.
    pub(crate) fn in_force(&self, place: Place) -> Option<OverrideInfo> {
        self.info(place, self.stack(place).top()?.id)
    }

    pub(crate) fn cell(&mut self, place: Place) -> Arc<CellCore> {
        self.stack_mut(place).cell()
    }

    fn info(&self, place: Place, id: u64) -> Option<OverrideInfo> {
        let stack = self.stack(place);
        let entry = stack.find(id)?;
        Some(OverrideInfo {
            id: OverrideId(id),
            target: self.target(place),
            value: entry.value,
            actor: Arc::clone(&entry.actor),
            reason: Arc::clone(&entry.reason),
            set_at: self.clock.moment(entry.set_at),
            until: self.clock.moment(entry.until),
            scope: entry.scope(),
            effective: stack.top().is_some_and(|top| top.id == id),
        })
    }

    pub(super) fn overrides_changed(&mut self, place: Place, at: u64) {
        match place {
            Place::Status(index) | Place::Circuit(index) => self.show(index),
            Place::Flag(_) | Place::Level => self.changed(),
        }
        self.effects.cells.extend(self.stack(place).shared_cell());
        self.unjudged.get_or_insert(at);
    }

    /// Derives what an override set or released by hand changes.
    pub(super) fn settle_place(&mut self, place: Place, now: u64) {
        match place {
            Place::Status(index) | Place::Circuit(index) => self.refresh(index, now),
            Place::Flag(_) | Place::Level => self.requeue_place(place),
        }
    }

    /// Dependencies are requeued when they are refreshed.
    pub(super) fn requeue_place(&mut self, place: Place) {
        let (owner, queued, due) = match place {
            Place::Status(_) | Place::Circuit(_) => return,
            Place::Level => (
                Owner::Level,
                &mut self.level_queued,
                self.level_overrides.due(),
            ),
            Place::Flag(index) => {
                let flag = &mut self.flags[index as usize];
                let due = flag
                    .overrides
                    .due()
                    .into_iter()
                    .chain(flag.trip.due())
                    .min();
                self.idle_flags.freed |= due.is_none();
                (Owner::Flag(index), &mut flag.queued, due)
            }
        };
        Self::requeue(&mut self.queue, &mut self.effects, owner, queued, due);
    }

    pub(super) fn target(&self, place: Place) -> Target {
        let name = |index: u32| Arc::clone(&self.entries[index as usize].core.name);
        match place {
            Place::Status(index) => Target::Status(name(index)),
            Place::Circuit(index) => Target::Circuit(name(index)),
            Place::Flag(index) => Target::Flag(Arc::clone(&self.flags[index as usize].name)),
            Place::Level => Target::Level,
        }
    }

    pub(super) fn stack(&self, place: Place) -> &Stack {
        match place {
            Place::Status(index) => &self.entries[index as usize].status_overrides,
            Place::Circuit(index) => &self.entries[index as usize].circuit_overrides,
            Place::Flag(index) => &self.flags[index as usize].overrides,
            Place::Level => &self.level_overrides,
        }
    }

    pub(super) fn stack_mut(&mut self, place: Place) -> &mut Stack {
        match place {
            Place::Status(index) => &mut self.entries[index as usize].status_overrides,
            Place::Circuit(index) => &mut self.entries[index as usize].circuit_overrides,
            Place::Flag(index) => &mut self.flags[index as usize].overrides,
            Place::Level => &mut self.level_overrides,
        }
    }
}
