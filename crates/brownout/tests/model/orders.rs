//! What operators have imposed: a short stack, of which the newest that still lasts counts.

use brownout::registry::{CircuitMode, OverrideId};

use crate::rules::Nanos;

pub(crate) const AT_MOST: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Orders(Vec<Placed>);

#[derive(Debug)]
struct Placed {
    id: OverrideId,
    mode: CircuitMode,
    until: Nanos,
}

impl Orders {
    /// What counts.
    pub(crate) fn mode(&self, now: Nanos) -> Option<CircuitMode> {
        self.newest(now).map(|order| order.mode)
    }

    /// When that ends.
    pub(crate) fn end(&self, now: Nanos) -> Option<Nanos> {
        self.newest(now).map(|order| order.until)
    }

    pub(crate) fn are_full(&self, now: Nanos) -> bool {
        self.lasting(now).count() >= AT_MOST
    }

    pub(crate) fn push(&mut self, id: OverrideId, mode: CircuitMode, until: Nanos) {
        self.0.push(Placed { id, mode, until });
    }

    /// Takes one of those that last out of the stack.
    pub(crate) fn take(&mut self, now: Nanos, which: usize) -> Option<OverrideId> {
        let index = which.checked_rem(self.lasting(now).count())?;
        let id = self.lasting(now).nth(index)?.id;
        self.0.retain(|order| order.id != id);
        Some(id)
    }

    fn newest(&self, now: Nanos) -> Option<&Placed> {
        self.lasting(now).last()
    }

    fn lasting(&self, now: Nanos) -> impl Iterator<Item = &Placed> {
        self.0.iter().filter(move |order| now < order.until)
    }
}
