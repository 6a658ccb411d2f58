//! The futures of a flag's services.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project::pin_project;

use crate::core::{
    DegradeReason, MarkDegraded, Observe, Reject, Rejected, Settle, unwind::OnUnwind,
};

use super::{cell::Cell, ticket::Ticket};

pub use super::standby::Oneshot;

/// The response of a [`Flagged`](super::Flagged) service.
///
/// Dropping it before it completes abandons the call.
#[pin_project]
pub struct ResponseFuture<F, D, X, O, R, M> {
    #[pin]
    run: Run<F, D, X>,
    observe: O,
    reject: R,
    mark: M,
}

/// Who is asked.
#[pin_project(project = RunProject)]
pub(super) enum Run<F, D, X> {
    /// The service itself.
    Full(#[pin] F, Ticket),
    /// Whoever stands in for it while the flag is degraded,
    Degraded(#[pin] D, Arc<Cell>),
    /// or disabled.
    Disabled(#[pin] X, Arc<Cell>),
    /// Nobody: the refusal, until it was given.
    Refused(Option<Rejected>),
}

impl<F, D, X, O, R, M> ResponseFuture<F, D, X, O, R, M> {
    #[allow(clippy::inline_always, reason = "see `Flagged::poll_ready`")]
    #[inline(always)]
    pub(super) fn new(run: Run<F, D, X>, observe: O, reject: R, mark: M) -> Self {
        Self {
            run,
            observe,
            reject,
            mark,
        }
    }
}

impl<F, D, X, Res, E, O, R, M> Future for ResponseFuture<F, D, X, O, R, M>
where
    F: Future<Output = Result<Res, E>>,
    D: Future<Output = Result<Res, E>>,
    X: Future<Output = Result<Res, E>>,
    O: Observe<Ticket, Res, E>,
    R: Reject<O::Response, E>,
    M: MarkDegraded<Res>,
{
    type Output = Result<R::Response, R::Error>;

    #[allow(clippy::inline_always, reason = "see `Flagged::poll_ready`")]
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let outcome = match this.run.project() {
            RunProject::Full(future, ticket) => {
                // A panic inside is the service's failure; one in the classifier, below, is not.
                let unwinding = OnUnwind(|| ticket.take().failure());
                let polled = future.poll(cx);
                unwinding.disarm();
                this.observe.observe(ticket, ready!(polled))
            }
            RunProject::Degraded(future, cell) => {
                let outcome = ready!(future.poll(cx));
                let reason = DegradeReason::FlagDegraded;
                stood_in(outcome, cell, "degraded", reason, this.observe, this.mark)
            }
            RunProject::Disabled(future, cell) => {
                let outcome = ready!(future.poll(cx));
                let reason = DegradeReason::FlagDisabled;
                stood_in(outcome, cell, "disabled", reason, this.observe, this.mark)
            }
            RunProject::Refused(rejected) => {
                // Without a refusal the answer was given before.
                let Some(rejected) = rejected.take() else {
                    return Poll::Pending;
                };
                return Poll::Ready(this.reject.reject(rejected));
            }
        };
        Poll::Ready(match outcome {
            Ok(response) => Ok(this.reject.answer(response)),
            Err(error) => Err(this.reject.fail(error)),
        })
    }
}

/// Marks the answer of whoever stands in. It is observed only for its type's sake: nobody waits for the verdict.
fn stood_in<Res, E, O, M>(
    mut outcome: Result<Res, E>,
    cell: &Cell,
    tier: &'static str,
    reason: DegradeReason,
    observe: &O,
    mark: &M,
) -> Result<O::Response, E>
where
    O: Observe<Ticket, Res, E>,
    M: MarkDegraded<Res>,
{
    if M::MARKS
        && let Ok(response) = &mut outcome
    {
        mark.mark(response, cell.mark(tier, reason));
    }
    observe.observe(&mut Ticket::settled(), outcome)
}

impl<F, D, X, O, R, M> fmt::Debug for ResponseFuture<F, D, X, O, R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl<F, D, X> fmt::Debug for Run<F, D, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(..) => "Full",
            Self::Degraded(..) => "Degraded",
            Self::Disabled(..) => "Disabled",
            Self::Refused(_) => "Refused",
        })
    }
}
