use super::{Classify, Verdict};

/// Something that waits for exactly one verdict, such as a circuit's [`Ticket`](crate::breaker::Ticket).
///
/// Dropping it unsettled means *abandoned*.
pub trait Settle {
    /// The head of the answer is there, and this is what it looks like; the verdict follows when the body has ended.
    fn head(&mut self, head: Verdict);

    /// Reports the verdict. Only the first one counts.
    fn settle(&mut self, verdict: Verdict);

    /// Takes the duty to settle along, and leaves something settled in its place.
    fn take(&mut self) -> Self
    where
        Self: Sized;
}

/// Says *when* a call is judged, and by whom.
///
/// [`AtHead`] judges as soon as the answer is there and passes it on as it is;
/// [`AtEnd`](crate::http::AtEnd) lets the ticket travel in the answer's body. Both own a [`Classify`], which is
/// all that most users write.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not judge calls that end in `Result<{Res}, {E}>`",
    note = "say how calls are judged: `.for_http()`, `.for_grpc()`, `.for_results()`, or by a classifier of your own, `.classify(…)`"
)]
pub trait Observe<T, Res, E> {
    /// The answer that is passed on, which may carry the ticket.
    type Response;

    /// Settles the ticket by the outcome, or [takes](Settle::take) it along in the answer, to be settled later.
    ///
    /// # Errors
    ///
    /// The call's own error, unchanged.
    fn observe(&self, ticket: &mut T, outcome: Result<Res, E>) -> Result<Self::Response, E>;
}

/// Judges a call as soon as its answer is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtHead<C>(
    /// The classifier.
    pub C,
);

impl<T, Res, E, C> Observe<T, Res, E> for AtHead<C>
where
    T: Settle,
    C: Classify<Res, E>,
{
    type Response = Res;

    #[allow(
        clippy::inline_always,
        reason = "on the path of every call; see `CircuitBreaker::poll_ready`"
    )]
    #[inline(always)]
    fn observe(&self, ticket: &mut T, outcome: Result<Res, E>) -> Result<Res, E> {
        let verdict = self.0.classify(outcome.as_ref());
        ticket.settle(verdict);
        outcome
    }
}
