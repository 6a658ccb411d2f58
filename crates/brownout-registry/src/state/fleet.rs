//! What the fleet has decided: overrides beneath the replica's own, and flags that it has degraded.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::flags::Flag;
use super::{Place, State};
use crate::cell::CellCore;
use crate::clock::Clock;
use crate::events::EventKind;
use crate::overrides::{FleetOverrideId, OverrideId, OverrideValue, Target};
use crate::stack::Entry;
use crate::vocab::FeatureState;

/// One override of the fleet, in this registry's time.
#[derive(Debug, Clone)]
pub(crate) struct FleetOrder {
    /// Its name within the fleet's stack.
    pub(crate) id: FleetOverrideId,
    pub(crate) value: OverrideValue,
    pub(crate) actor: Arc<str>,
    pub(crate) reason: Arc<str>,
    pub(crate) set_at: u64,
    pub(crate) until: u64,
}

/// Orders on dependencies that are not registered here, or not yet.
pub(super) type Waiting = BTreeMap<Target, Vec<FleetOrder>>;

/// The fleet's degradation of a flag.
#[derive(Debug, Default)]
pub(super) struct Trip {
    until: Option<u64>,
    /// Made when a flag first wants to read it.
    cell: Option<Arc<CellCore>>,
}

/// Ends that differ by less are the same end, measured twice: one second.
const SAME: u64 = 1_000_000_000;

impl State {
    /// Puts these in the place of what the fleet has imposed on the target so far.
    pub(crate) fn set_fleet(&mut self, target: &Target, orders: Vec<FleetOrder>, now: u64) {
        let place = match self.fleet_place(target) {
            Some(place) => place,
            None if orders.is_empty() => {
                self.waiting.remove(target);
                return;
            }
            None => {
                self.waiting.insert(target.clone(), orders);
                return;
            }
        };
        let present = self.stack(place).fleet().to_vec();
        let mut entries = Vec::with_capacity(orders.len());
        let mut new = Vec::new();
        for order in orders.into_iter().filter(|order| order.until > now) {
            let known = present
                .iter()
                .find(|entry| entry.fleet == Some(order.id) && entry.value == order.value);
            let entry = match known {
                Some(known) if known.until.abs_diff(order.until) < SAME => known.clone(),
                Some(known) => Entry {
                    until: order.until,
                    ..known.clone()
                },
                None => {
                    let entry = self.fleet_entry(order);
                    new.push(entry.clone());
                    entry
                }
            };
            entries.push(entry);
        }
        let same = |(one, other): (&Entry, &Entry)| (one.id, one.until) == (other.id, other.until);
        if entries.len() == present.len() && entries.iter().zip(&present).all(same) {
            return;
        }
        let kept: Vec<u64> = entries.iter().map(|entry| entry.id).collect();
        for entry in self.stack_mut(place).replace_fleet(entries) {
            if !kept.contains(&entry.id) {
                self.end_fleet_entry(place, entry, now);
            }
        }
        for entry in new {
            self.begin_fleet_entry(place, entry, now);
        }
        self.overrides_changed(place, now);
        self.settle_place(place, now);
    }

    /// Degrades a flag until then, in the fleet's name; or no longer.
    pub(crate) fn set_trip(&mut self, flag: &str, until: Option<u64>, now: u64) {
        let Ok(Place::Flag(index)) = self.flag(flag) else {
            return;
        };
        let until = until.filter(|&until| until > now);
        let trip = &mut self.flags[index as usize].trip;
        let same = match (trip.until, until) {
            (None, None) => true,
            (Some(one), Some(other)) => one.abs_diff(other) < SAME,
            _ => false,
        };
        if !same {
            trip.set(until);
            self.trip_changed(index);
            self.requeue_place(Place::Flag(index));
        }
    }

    pub(super) fn expire_trip(&mut self, index: u32, at: u64) {
        let trip = &mut self.flags[index as usize].trip;
        if trip.until.is_some_and(|until| until <= at) {
            trip.set(None);
            self.trip_changed(index);
        }
    }

    /// What a flag reads to know whether the fleet has degraded it.
    pub(crate) fn trip_cell(&mut self, index: u32) -> Arc<CellCore> {
        let trip = &mut self.flags[index as usize].trip;
        let cell = Arc::clone(trip.cell.get_or_insert_default());
        trip.publish();
        cell
    }

    /// Takes back all that the fleet has decided.
    pub(crate) fn leave_fleet(&mut self, now: u64) {
        self.waiting.clear();
        let of_fleet = |place: &Place| !self.stack(*place).fleet().is_empty();
        let targets: Vec<Target> = self
            .places
            .values()
            .filter(|place| of_fleet(place))
            .map(|place| self.target(*place))
            .collect();
        for target in targets {
            self.set_fleet(&target, Vec::new(), now);
        }
        let tripped = |flag: &&Flag| flag.trip.until.is_some();
        let names = |flag: &Flag| Arc::clone(&flag.name);
        for flag in self
            .flags
            .iter()
            .filter(tripped)
            .map(names)
            .collect::<Vec<_>>()
        {
            self.set_trip(&flag, None, now);
        }
    }

    /// A dependency has been registered, on which the fleet may have decided before.
    pub(super) fn take_waiting(&mut self, name: &Arc<str>, now: u64) {
        for target in [
            Target::Status(Arc::clone(name)),
            Target::Circuit(Arc::clone(name)),
        ] {
            if let Some(orders) = self.waiting.remove(&target) {
                self.set_fleet(&target, orders, now);
            }
        }
    }

    /// Where the target's overrides are. None for dependencies that are not registered; flags may come later.
    fn fleet_place(&mut self, target: &Target) -> Option<Place> {
        match target {
            Target::Status(name) => self.names.get(name).map(|&index| Place::Status(index)),
            Target::Circuit(name) => self.names.get(name).map(|&index| Place::Circuit(index)),
            Target::Flag(name) => self.flag(name).ok(),
            Target::Level => Some(Place::Level),
        }
    }

    fn fleet_entry(&mut self, order: FleetOrder) -> Entry {
        Entry {
            id: self.next_id(),
            fleet: Some(order.id),
            value: order.value,
            actor: order.actor,
            reason: order.reason,
            set_at: order.set_at,
            until: order.until,
        }
    }

    fn begin_fleet_entry(&mut self, place: Place, entry: Entry, now: u64) {
        self.places.insert(entry.id, place);
        let set = EventKind::OverrideSet {
            id: OverrideId(entry.id),
            target: self.target(place),
            value: entry.value,
            actor: entry.actor,
            reason: entry.reason,
            ttl: Clock::distance(now, entry.until),
        };
        self.record(set, now);
    }

    fn end_fleet_entry(&mut self, place: Place, entry: Entry, now: u64) {
        self.places.remove(&entry.id);
        let released = EventKind::OverrideReleased {
            id: OverrideId(entry.id),
            target: self.target(place),
            value: entry.value,
            actor: entry.actor,
        };
        self.record(released, now);
    }

    fn trip_changed(&mut self, index: u32) {
        self.changed();
        let cell = self.flags[index as usize].trip.cell.clone();
        self.effects.cells.extend(cell);
    }
}

impl Trip {
    pub(super) fn due(&self) -> Option<u64> {
        self.until
    }

    /// Whether there is none, and nobody has wanted to know yet.
    pub(super) fn is_idle(&self) -> bool {
        self.cell.is_none() && self.until.is_none()
    }

    fn set(&mut self, until: Option<u64>) {
        self.until = until;
        self.publish();
    }

    fn publish(&self) {
        if let Some(cell) = &self.cell {
            cell.set(
                self.until
                    .map(|until| (FeatureState::Degraded.code(), until)),
            );
        }
    }
}
