//! The future of a service whose calls are reported on.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project::pin_project;

use crate::core::{Observe, Settle, unwind::OnUnwind};

use super::ticket::TrafficTicket;

/// The response of a [`Reported`](super::Reported) service.
#[pin_project]
pub struct ReportFuture<F, O> {
    #[pin]
    future: F,
    ticket: TrafficTicket,
    observe: O,
}

impl<F, O> ReportFuture<F, O> {
    #[inline]
    pub(super) const fn new(future: F, ticket: TrafficTicket, observe: O) -> Self {
        Self {
            future,
            ticket,
            observe,
        }
    }
}

impl<F, O, Res, E> Future for ReportFuture<F, O>
where
    F: Future<Output = Result<Res, E>>,
    O: Observe<TrafficTicket, Res, E>,
{
    type Output = Result<O::Response, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // A panic inside is the dependency's failure; one in the classifier, below, is not.
        let unwinding = OnUnwind(|| this.ticket.take().failure());
        let polled = this.future.poll(cx);
        unwinding.disarm();
        let outcome = ready!(polled);
        Poll::Ready(this.observe.observe(this.ticket, outcome))
    }
}

impl<F, O> fmt::Debug for ReportFuture<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportFuture").finish_non_exhaustive()
    }
}
