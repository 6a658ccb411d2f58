//! The bounded stack of overrides that one target carries.

use std::sync::Arc;

use crate::cell::CellCore;
use crate::overrides::{MAX_STACKED, OverrideValue};

/// Overrides of one target: the newest counts, and what is under it counts again when it goes.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    entries: Vec<Entry>,
    /// Made when somebody first wants to read it: most dependencies have no circuit.
    cell: Option<Arc<CellCore>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) value: OverrideValue,
    pub(crate) actor: Arc<str>,
    pub(crate) reason: Arc<str>,
    pub(crate) set_at: u64,
    pub(crate) until: u64,
}

impl Stack {
    pub(crate) fn top(&self) -> Option<&Entry> {
        self.entries.last()
    }

    pub(crate) fn find(&self, id: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= MAX_STACKED
    }

    /// The earliest end of any of them.
    pub(crate) fn due(&self) -> Option<u64> {
        self.entries.iter().map(|entry| entry.until).min()
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
        self.publish();
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.id == id)?;
        let entry = self.entries.remove(index);
        self.publish();
        Some(entry)
    }

    /// Takes out what has ended by `at`.
    pub(crate) fn expire(&mut self, at: u64) -> Vec<Entry> {
        let expired: Vec<Entry> = self
            .entries
            .extract_if(.., |entry| entry.until <= at)
            .collect();
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

    fn publish(&self) {
        if let Some(cell) = &self.cell {
            cell.set(self.top().map(|entry| (entry.value.code(), entry.until)));
        }
    }
}
