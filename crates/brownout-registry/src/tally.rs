//! What a group of slots amounts to, so that the worst of ten thousand reports, and why, is found at once.

use std::collections::BTreeSet;

use crate::vocab::Status;

/// How many slots of a group there are, and what they say.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    slots: usize,
    said: [usize; 4],
    /// The slots that say why, by what they say.
    worded: BTreeSet<(Status, u64)>,
}

impl Tally {
    pub(crate) fn add_slot(&mut self) {
        self.slots += 1;
    }

    pub(crate) fn drop_slot(&mut self) {
        self.slots -= 1;
    }

    pub(crate) fn has_slots(&self) -> bool {
        self.slots > 0
    }

    /// Counts what a slot says from now on, and whether it does in words.
    pub(crate) fn add(&mut self, slot: u64, status: Status, worded: bool) {
        self.said[status as usize] += 1;
        if worded {
            self.worded.insert((status, slot));
        }
    }

    /// Takes back what it has said.
    pub(crate) fn remove(&mut self, slot: u64, status: Status) {
        self.said[status as usize] -= 1;
        self.worded.remove(&(status, slot));
    }

    /// The worst that any of them says.
    pub(crate) fn worst(&self) -> Option<Status> {
        Status::ALL
            .iter()
            .copied()
            .rev()
            .find(|&status| self.said[status as usize] > 0)
    }

    /// The slot made first of those that say this, and say why.
    pub(crate) fn first_worded(&self, status: Status) -> Option<u64> {
        let says_so = (status, 0)..=(status, u64::MAX);
        self.worded.range(says_so).next().map(|&(_, slot)| slot)
    }
}
