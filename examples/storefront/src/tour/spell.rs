//! Whether circuits stayed open while something was looked at.
//!
//! A tour's circuits are open for a second. On a busy machine that may be over before a look is, and what the look then saw
//! says nothing of an open circuit.

use brownout::breaker::Circuit;

/// So often a look is begun anew.
pub(super) const TRIES: usize = 5;

/// The spells that these circuits are in: one for each that is open and not due yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spells(Vec<Option<u64>>);

impl Spells {
    pub(super) fn of<'a>(circuits: impl IntoIterator<Item = &'a Circuit>) -> Self {
        let spell = |circuit: &Circuit| {
            let stats = circuit.stats();
            let goes_on = stats.retry_after.is_some_and(|rest| !rest.is_zero());
            goes_on.then_some(stats.generation)
        };
        Self(circuits.into_iter().map(spell).collect())
    }
}
