//! What the random histories came across: a property over circuits that never open would say little.

use std::cell::Cell;

use crate::reference::Told;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    cases: Cell<u32>,
    opened: Cell<u32>,
    half_opened: Cell<u32>,
    closed: Cell<u32>,
    would_open: Cell<u32>,
}

impl Tally {
    pub(crate) fn case(&self) {
        add(&self.cases);
    }

    pub(crate) fn note(&self, told: &[Told]) {
        for told in told {
            add(match told {
                Told::Opened { .. } => &self.opened,
                Told::HalfOpened { .. } => &self.half_opened,
                Told::Closed { .. } => &self.closed,
                Told::WouldOpen { .. } => &self.would_open,
            });
        }
    }

    /// Fails if too little happened to too few circuits, if there were enough to tell.
    pub(crate) fn is_worth_something(&self) {
        let cases = self.cases.get();
        if cases < 500 {
            return;
        }
        assert!(self.opened.get() > cases, "{self:?}");
        assert!(self.half_opened.get() > cases / 2, "{self:?}");
        assert!(self.closed.get() > cases / 4, "{self:?}");
        assert!(self.would_open.get() > cases / 50, "{self:?}");
    }
}

fn add(count: &Cell<u32>) {
    count.set(count.get() + 1);
}
