use std::{fmt, sync::Arc};

use crate::core::{Rejected, Settle, Verdict, span};

use super::{
    cell::Cell,
    machine::Nanos,
    pass::{CLOSED_WINDOWED, Course, KIND, Pass, REFUSED},
    voice,
};

/// Leave to make one call through a circuit, and the one way to report how it went.
///
/// [`Circuit::admit`](super::Circuit::admit) gives it out. Settle it with a [`Verdict`]; it may travel (into a
/// response body, to another task) before that. Dropped unsettled, the call is *abandoned*: a probe gives its place
/// back, and the policy's [`Abandoned`](super::Abandoned) says whether it counts. Results that come after the
/// circuit has moved on are counted in the totals and move nothing.
///
/// ```
/// # use brownout::{Registry, breaker::Circuit};
/// # fn read_sensor() -> Result<f64, std::io::Error> { Ok(1.0) }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sensor = Registry::new().dependency("sensor").register()?;
/// let circuit = Circuit::new(&sensor);
///
/// let ticket = circuit.admit()?; // `Rejected` while the circuit is open
/// match read_sensor() {
///     Ok(_) => ticket.success(),
///     Err(_) => ticket.failure(),
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a ticket that is dropped counts as an abandoned call"]
pub struct Ticket {
    /// `None` once settled.
    cell: Option<Arc<Cell>>,
    pass: Pass,
}

impl Ticket {
    #[inline]
    pub(super) fn new(cell: Arc<Cell>, pass: Pass) -> Self {
        Self {
            cell: Some(cell),
            pass,
        }
    }

    /// Inside this crate a ticket may be of a refused call; such a one is an error to everybody else.
    pub(super) fn admitted(mut self) -> Result<Self, Rejected> {
        match (self.pass.refusal(), self.cell.take()) {
            (Some(refusal), Some(cell)) => Err(cell.rejected(refusal)),
            (_, cell) => {
                self.cell = cell;
                Ok(self)
            }
        }
    }

    /// The refusal, once, if the call was refused.
    #[inline]
    pub(super) fn refusal(&mut self) -> Option<Rejected> {
        let cell = self.cell.take()?;
        Some(cell.rejected(self.pass.refusal()?))
    }

    #[inline]
    pub(super) fn is_refused(&self) -> bool {
        self.pass.is_refused()
    }

    /// The call succeeded.
    pub fn success(self) {
        self.settle(Verdict::Success);
    }

    /// The call failed.
    pub fn failure(self) {
        self.settle(Verdict::Failure);
    }

    /// The head of the answer is there, and this is what it looks like; the verdict follows. For slowness and for a
    /// probe's lease the call is over now: what comes later can only add a failure.
    ///
    /// A head that fails settles the ticket.
    pub fn head(&mut self, head: Verdict) {
        if head.is_failure() {
            self.settle_in_place(head);
        } else if self.pass.course.is_out()
            && !self.pass.is_refused()
            && let Some(cell) = &self.cell
        {
            cell.headed(&mut self.pass, head);
        }
    }

    /// Reports the verdict.
    pub fn settle(mut self, verdict: Verdict) {
        self.settle_in_place(verdict);
    }

    #[allow(
        clippy::inline_always,
        reason = "on the path of every call; see `CircuitBreaker::poll_ready`"
    )]
    #[inline(always)]
    fn settle_in_place(&mut self, verdict: Verdict) {
        let Some(cell) = self.cell.take() else { return };
        let Pass {
            gate, mut course, ..
        } = self.pass;
        // Each verdict by itself: one that is known where it is passed on need not be kept until then. For the same reason
        // the time is read where it is needed, which on the shortest way is nowhere.
        match verdict {
            Verdict::Success => {
                if !cell.succeeded(gate, || self.pass.at, &mut course) {
                    settle_otherwise(&cell, gate, self.pass.at, course, Verdict::Success);
                }
            }
            Verdict::Failure => {
                let plain = gate & KIND == CLOSED_WINDOWED && course == Course::OUT;
                if !plain || !cell.failed_plainly(gate) {
                    settle_otherwise(&cell, gate, self.pass.at, course, Verdict::Failure);
                }
            }
            _ => settle_otherwise(&cell, gate, self.pass.at, course, verdict),
        }
    }
}

#[inline(never)]
fn settle_otherwise(cell: &Cell, gate: u64, at: Nanos, course: Course, verdict: Verdict) {
    cell.settled(Pass { gate, at, course }, verdict);
    if span::is_traced() {
        match verdict {
            Verdict::Success => {}
            Verdict::Failure | Verdict::Trip { .. } => voice::called(&cell.core, "failure"),
            Verdict::Neutral => voice::called(&cell.core, "neutral"),
        }
    }
}

// Takes the cell as well: what is left of a drop is so small that it is inlined.
#[cold]
#[allow(clippy::needless_pass_by_value, reason = "see above")]
fn abandon(cell: Arc<Cell>, gate: u64, at: Nanos, course: Course) {
    let refused = gate & KIND == REFUSED;
    cell.abandoned(Pass { gate, at, course });
    if !refused && span::is_traced() {
        voice::called(&cell.core, "abandoned");
    }
}

impl Settle for Ticket {
    fn head(&mut self, head: Verdict) {
        Self::head(self, head);
    }

    #[allow(clippy::inline_always, reason = "see `settle_in_place`")]
    #[inline(always)]
    fn settle(&mut self, verdict: Verdict) {
        self.settle_in_place(verdict);
    }

    fn take(&mut self) -> Self {
        Self {
            cell: self.cell.take(),
            pass: self.pass,
        }
    }
}

impl Drop for Ticket {
    #[allow(clippy::inline_always, reason = "see `settle_in_place`")]
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            abandon(cell, self.pass.gate, self.pass.at, self.pass.course);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field(
                "dependency",
                &self.cell.as_ref().map(|cell| cell.dependency().name()),
            )
            .field("course", &self.pass.course)
            .finish_non_exhaustive()
    }
}
