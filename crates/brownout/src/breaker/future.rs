//! The futures of the circuit breaker's services.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project::pin_project;

use crate::core::{Observe, Reject, Settle, unwind::OnUnwind};

use super::ticket::Ticket;

/// The response of a [`CircuitBreaker`](super::CircuitBreaker).
///
/// Dropping it before it completes abandons the call.
#[pin_project]
pub struct ResponseFuture<F, O, R> {
    /// `None` where the call is refused.
    #[pin]
    future: Option<F>,
    /// The call's ticket, or its refusal.
    ticket: Ticket,
    observe: O,
    reject: R,
}

impl<F, O, R> ResponseFuture<F, O, R> {
    #[allow(clippy::inline_always, reason = "see `CircuitBreaker::poll_ready`")]
    #[inline(always)]
    pub(super) fn new(future: Option<F>, ticket: Ticket, observe: O, reject: R) -> Self {
        Self {
            future,
            ticket,
            observe,
            reject,
        }
    }
}

impl<F, Res, E, O, R> Future for ResponseFuture<F, O, R>
where
    F: Future<Output = Result<Res, E>>,
    O: Observe<Ticket, Res, E>,
    R: Reject<O::Response, E>,
{
    type Output = Result<R::Response, R::Error>;

    #[allow(clippy::inline_always, reason = "see `CircuitBreaker::poll_ready`")]
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else {
            // Without a refusal the answer was given before.
            let refused = this.ticket.refusal();
            return refused.map_or(Poll::Pending, |rejected| {
                Poll::Ready(this.reject.reject(rejected))
            });
        };
        // A panic inside is the dependency's failure; one in the classifier, below, is not.
        let unwinding = OnUnwind(|| this.ticket.take().failure());
        let polled = future.poll(cx);
        unwinding.disarm();
        let outcome = ready!(polled);
        Poll::Ready(match this.observe.observe(this.ticket, outcome) {
            Ok(response) => Ok(this.reject.answer(response)),
            Err(error) => Err(this.reject.fail(error)),
        })
    }
}

impl<F, O, R> fmt::Debug for ResponseFuture<F, O, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
