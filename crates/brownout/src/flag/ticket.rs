use std::{fmt, sync::Arc};

use crate::core::{Settle, Verdict};

use super::{cell::Cell, word::Word};

/// Leave to make one call of a feature in full, and the one way to report how it went.
///
/// [`Flag::admit`](super::Flag::admit) gives it out. Settle it with a [`Verdict`]; it may travel (into a response body,
/// to another task) before that. Dropped unsettled, the call is *abandoned*, which counts for nothing. Results that
/// come after the flag has degraded, or has come back, are counted in the totals and move nothing.
///
/// A [`Verdict::Trip`] is a failure like any other: a flag answers for more than one call.
#[must_use = "a ticket that is dropped counts as an abandoned call"]
pub struct Ticket {
    /// `None` once settled.
    cell: Option<Arc<Cell>>,
    /// Once settled, [`FAILED`] if it was a failure.
    word: Word,
}

/// No spell's word: its flag would have a state that there is none of.
const FAILED: Word = Word(u64::MAX);

impl Ticket {
    #[inline]
    pub(super) fn new(cell: Arc<Cell>, word: Word) -> Self {
        Self {
            cell: Some(cell),
            word,
        }
    }

    /// For answers of somebody else, which nobody judges.
    pub(super) fn settled() -> Self {
        Self {
            cell: None,
            word: Word(0),
        }
    }

    /// The flag's cell, unless it is settled.
    pub(super) fn cell(&self) -> Option<&Arc<Cell>> {
        self.cell.as_ref()
    }

    /// Whether it was settled, here, as a failure.
    pub(super) fn has_failed(&self) -> bool {
        self.cell.is_none() && self.word == FAILED
    }

    /// The call succeeded.
    pub fn success(self) {
        self.settle(Verdict::Success);
    }

    /// The call failed.
    pub fn failure(self) {
        self.settle(Verdict::Failure);
    }

    /// Reports the verdict.
    pub fn settle(mut self, verdict: Verdict) {
        self.settle_in_place(verdict);
    }

    #[allow(
        clippy::inline_always,
        reason = "on the path of every call; see `Flagged::poll_ready`"
    )]
    #[inline(always)]
    fn settle_in_place(&mut self, verdict: Verdict) {
        let Some(cell) = self.cell.take() else { return };
        if verdict == Verdict::Success {
            cell.succeeded(self.word);
        } else {
            cell.settled_otherwise(self.word, verdict);
            if verdict.is_failure() {
                self.word = FAILED;
            }
        }
    }
}

impl Settle for Ticket {
    fn head(&mut self, _: Verdict) {}

    #[allow(clippy::inline_always, reason = "see `settle_in_place`")]
    #[inline(always)]
    fn settle(&mut self, verdict: Verdict) {
        self.settle_in_place(verdict);
    }

    fn take(&mut self) -> Self {
        Self {
            cell: self.cell.take(),
            word: self.word,
        }
    }
}

impl Drop for Ticket {
    #[allow(clippy::inline_always, reason = "see `settle_in_place`")]
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            abandon(cell);
        }
    }
}

// Takes the cell as well: what is left of a drop is so small that it is inlined.
#[cold]
#[allow(clippy::needless_pass_by_value, reason = "see above")]
fn abandon(cell: Arc<Cell>) {
    cell.abandoned();
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("flag", &self.cell.as_ref().map(|cell| &cell.shared.name))
            .finish_non_exhaustive()
    }
}
