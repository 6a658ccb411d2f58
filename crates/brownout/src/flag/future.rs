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
    Cause, DegradeReason, MarkDegraded, Observe, Reject, Rejected, Settle, mark::add as add_mark,
    unwind::OnUnwind,
};

use super::{
    cell::Cell,
    fall::{Fall, Stays},
    ticket::Ticket,
    voice,
};

pub use crate::core::Oneshot;

/// The response of a [`Flagged`](super::Flagged) service.
///
/// Dropping it before it completes abandons the call.
#[pin_project]
pub struct ResponseFuture<F, D, X, O, R, M, K = Stays> {
    #[pin]
    run: Run<F, D, X>,
    fall: K,
    observe: O,
    reject: R,
    mark: M,
}

/// Who is asked. Two kinds only, because every call is asked for its kind: of the second there are more.
#[pin_project(project = RunProject)]
pub(super) enum Run<F, D, X> {
    /// The service itself.
    Full(#[pin] F, Ticket),
    /// Whoever answers in its place.
    Instead(#[pin] Instead<D, X>),
}

/// Who answers a call that the service does not.
#[pin_project(project = InsteadProject)]
pub(super) enum Instead<D, X> {
    /// Whoever stands in for the service while the flag is degraded, or after it has failed the call,
    Degraded(#[pin] D, Arc<Cell>, DegradeReason),
    /// or disabled.
    Disabled(#[pin] X, Arc<Cell>),
    /// Nobody: the refusal, until it was given.
    Refused(Option<Rejected>),
}

impl<F, D, X, O, R, M, K> ResponseFuture<F, D, X, O, R, M, K> {
    #[allow(clippy::inline_always, reason = "see `Flagged::poll_ready`")]
    #[inline(always)]
    pub(super) fn new(run: Run<F, D, X>, fall: K, observe: O, reject: R, mark: M) -> Self {
        Self {
            run,
            fall,
            observe,
            reject,
            mark,
        }
    }
}

impl<F, D, X, Res, E, O, R, M, K> Future for ResponseFuture<F, D, X, O, R, M, K>
where
    F: Future<Output = Result<Res, E>>,
    D: Future<Output = Result<Res, E>>,
    X: Future<Output = Result<Res, E>>,
    O: Observe<Ticket, Res, E>,
    R: Reject<O::Response, E>,
    M: MarkDegraded<Res>,
    K: Fall<Res, E, O::Response, D>,
{
    type Output = Result<R::Response, R::Error>;

    #[allow(clippy::inline_always, reason = "see `Flagged::poll_ready`")]
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (future, ticket) = match this.run.as_mut().project() {
            RunProject::Full(future, ticket) => (future, ticket),
            RunProject::Instead(instead) => {
                let polled = poll_instead(instead, cx, this.fall, this.observe, this.mark);
                return ready!(polled).into_output(this.reject);
            }
        };
        // A panic inside is the service's failure; one in the classifier, below, is not.
        let unwinding = OnUnwind(|| ticket.take().failure());
        let polled = future.poll(cx);
        unwinding.disarm();
        let outcome = ready!(polled);
        if !K::FALLS {
            return Ended::By(this.observe.observe(ticket, outcome)).into_output(this.reject);
        }
        let ended = match fall(outcome, ticket, this.observe, this.fall) {
            Judged::Stays(outcome) => Ended::By(outcome),
            Judged::Falls(future, cell, reason) => {
                let instead = Instead::Degraded(future, cell, reason);
                this.run.set(Run::Instead(instead));
                let RunProject::Instead(instead) = this.run.project() else {
                    return Poll::Pending;
                };
                ready!(poll_instead(
                    instead,
                    cx,
                    this.fall,
                    this.observe,
                    this.mark
                ))
            }
        };
        ended.into_output(this.reject)
    }
}

/// The end of a call.
enum Ended<P, E> {
    /// Somebody answered or failed.
    By(Result<P, E>),
    Refused(Rejected),
}

impl<P, E> Ended<P, E> {
    #[allow(clippy::inline_always, reason = "see `Flagged::poll_ready`")]
    #[inline(always)]
    fn into_output<R: Reject<P, E>>(self, reject: &R) -> Poll<Result<R::Response, R::Error>> {
        Poll::Ready(match self {
            Self::By(Ok(response)) => Ok(reject.answer(response)),
            Self::By(Err(error)) => Err(reject.fail(error)),
            Self::Refused(rejected) => reject.reject(rejected),
        })
    }
}

/// Polls whoever is asked instead of the service.
#[inline(never)]
fn poll_instead<D, X, Res, E, O, M, K>(
    instead: Pin<&mut Instead<D, X>>,
    cx: &mut Context<'_>,
    fall: &mut K,
    observe: &O,
    mark: &M,
) -> Poll<Ended<O::Response, E>>
where
    D: Future<Output = Result<Res, E>>,
    X: Future<Output = Result<Res, E>>,
    O: Observe<Ticket, Res, E>,
    M: MarkDegraded<Res>,
    K: Fall<Res, E, O::Response, D>,
{
    let outcome = match instead.project() {
        InsteadProject::Degraded(future, cell, reason) => match fall.ended(ready!(future.poll(cx)))
        {
            Ok(outcome) => stood_in(outcome, cell, "degraded", *reason, observe, mark),
            Err(failed) => failed,
        },
        InsteadProject::Disabled(future, cell) => {
            let reason = DegradeReason::FlagDisabled;
            let outcome = ready!(future.poll(cx));
            stood_in(outcome, cell, "disabled", reason, observe, mark)
        }
        // Without a refusal the answer was given before.
        InsteadProject::Refused(rejected) => {
            return rejected.take().map_or(Poll::Pending, |rejected| {
                Poll::Ready(Ended::Refused(rejected))
            });
        }
    };
    Poll::Ready(Ended::By(outcome))
}

/// What becomes of a call that the service has ended.
enum Judged<Out, D> {
    Stays(Out),
    Falls(D, Arc<Cell>, DegradeReason),
}

/// Judges the service's outcome, and sends the call on to the degraded service where it failed and may.
fn fall<Res, E, D, O, K>(
    outcome: Result<Res, E>,
    ticket: &mut Ticket,
    observe: &O,
    fall: &mut K,
) -> Judged<Result<O::Response, E>, D>
where
    O: Observe<Ticket, Res, E>,
    K: Fall<Res, E, O::Response, D>,
{
    let cell = ticket.cell().cloned();
    // Looked for at once: what is passed on may be of a type of which nothing is known.
    let refusal = outcome
        .as_ref()
        .ok()
        .and_then(|answer| fall.refusal(answer));
    let outcome = observe.observe(ticket, outcome);
    let (Some(cell), Some(cause)) = (cell, cause_of(&outcome, refusal, ticket, fall)) else {
        return Judged::Stays(outcome);
    };
    let cause = cell.trusted(cause);
    match fall.go_on(&cause, outcome) {
        Ok(future) => Judged::Falls(future, cell, cause.reason()),
        Err(outcome) => {
            voice::not_asked(&cell.shared.name, &cause);
            Judged::Stays(outcome)
        }
    }
}

/// Why the call goes on: a failure that was counted, or a refusal, which has nothing else to show for itself.
#[inline]
fn cause_of<Res, E, P, D, K>(
    outcome: &Result<P, E>,
    refusal: Option<Cause>,
    ticket: &Ticket,
    fall: &K,
) -> Option<Cause>
where
    K: Fall<Res, E, P, D>,
{
    match outcome {
        Ok(_) if refusal.is_some() => refusal,
        Ok(_) => ticket
            .has_failed()
            .then(|| Cause::failed("its answer is a failure")),
        Err(error) => {
            let cause = fall.explain(error);
            (ticket.has_failed() || cause.refusal().is_some()).then_some(cause)
        }
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
    if let Ok(response) = &mut outcome {
        add_mark(mark, response, tier, || cell.mark(tier, reason));
    }
    observe.observe(&mut Ticket::settled(), outcome)
}

impl<F, D, X, O, R, M, K> fmt::Debug for ResponseFuture<F, D, X, O, R, M, K> {
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
            Self::Instead(Instead::Degraded(..)) => "Degraded",
            Self::Instead(Instead::Disabled(..)) => "Disabled",
            Self::Instead(Instead::Refused(_)) => "Refused",
        })
    }
}
