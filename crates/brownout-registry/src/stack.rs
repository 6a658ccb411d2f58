//! The bounded stacks of overrides that one target carries: the replica's own, and the fleet's.

use std::sync::Arc;

use crate::cell::CellCore;
use crate::overrides::{FleetOverrideId, MAX_STACKED, OverrideValue, Scope};

/// Overrides of one target: the newest counts, and what is under it counts again when it goes. Beneath all of the
/// replica's own are those of the fleet.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    own: Vec<Entry>,
    fleet: Vec<Entry>,
    /// Made when somebody first wants to read it: most dependencies have no circuit.
    cell: Option<Arc<CellCore>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    /// Its name in the fleet's stack, if it is of that.
    pub(crate) fleet: Option<FleetOverrideId>,
    pub(crate) value: OverrideValue,
    pub(crate) actor: Arc<str>,
    pub(crate) reason: Arc<str>,
    pub(crate) set_at: u64,
    pub(crate) until: u64,
}

impl Entry {
    pub(crate) fn scope(&self) -> Scope {
        match self.fleet {
            None => Scope::Replica,
            Some(id) => Scope::Fleet(id),
        }
    }
}

impl Stack {
    pub(crate) fn top(&self) -> Option<&Entry> {
        self.own.last().or_else(|| self.fleet.last())
    }

    pub(crate) fn find(&self, id: u64) -> Option<&Entry> {
        self.all().find(|entry| entry.id == id)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.own.len() >= MAX_STACKED
    }

    /// The earliest end of any of them.
    pub(crate) fn due(&self) -> Option<u64> {
        self.all().map(|entry| entry.until).min()
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.own.push(entry);
        self.publish();
    }

    /// Takes out one of the replica's own.
    pub(crate) fn remove(&mut self, id: u64) -> Option<Entry> {
        let index = self.own.iter().position(|entry| entry.id == id)?;
        let entry = self.own.remove(index);
        self.publish();
        Some(entry)
    }

    /// Puts others in the place of the fleet's, and returns those.
    pub(crate) fn replace_fleet(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let replaced = std::mem::replace(&mut self.fleet, entries);
        self.publish();
        replaced
    }

    pub(crate) fn fleet(&self) -> &[Entry] {
        &self.fleet
    }

    /// Takes out what has ended by `at`.
    pub(crate) fn expire(&mut self, at: u64) -> Vec<Entry> {
        let over = |entry: &mut Entry| entry.until <= at;
        let mut expired: Vec<Entry> = self.own.extract_if(.., over).collect();
        expired.extend(self.fleet.extract_if(.., over));
        if !expired.is_empty() {
            self.publish();
        }
        expired
    }

    /// The word that layers read, made on first use.
    pub(crate) fn cell(&mut self) -> Arc<CellCore> {
        let cell = Arc::clone(self.cell.get_or_insert_default());
        self.publish();
        cell
    }

    pub(crate) fn shared_cell(&self) -> Option<Arc<CellCore>> {
        self.cell.clone()
    }

    /// Whether it is empty, and nobody has wanted to read it yet.
    pub(crate) fn is_idle(&self) -> bool {
        self.cell.is_none() && self.all().next().is_none()
    }

    fn all(&self) -> impl Iterator<Item = &Entry> {
        self.own.iter().chain(&self.fleet)
    }

    fn publish(&self) {
        if let Some(cell) = &self.cell {
            cell.set(self.top().map(|entry| (entry.value.code(), entry.until)));
        }
    }
}
