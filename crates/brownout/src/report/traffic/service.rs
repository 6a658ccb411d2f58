use std::{
    fmt,
    task::{Context, Poll},
};

use tower_service::Service;

use crate::core::{Observe, Settle, unwind::OnUnwind};

use super::{future::ReportFuture, handle::Traffic, ticket::TrafficTicket};

/// A service whose calls say how the dependency behind it is. Made by [`ReportLayer`](super::ReportLayer).
///
/// It is ready when its inner service is; a readiness error and a panic count as failures. Dropping its future, or the
/// body that carries its ticket, abandons the call, which counts for nothing: a timeout belongs inside.
#[derive(Clone)]
pub struct Reported<S, O> {
    inner: S,
    traffic: Traffic,
    observe: O,
}

impl<S, O> Reported<S, O> {
    pub(super) const fn new(inner: S, traffic: Traffic, observe: O) -> Self {
        Self {
            inner,
            traffic,
            observe,
        }
    }

    /// What the calls say so far.
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, mutably.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the layer off.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, Req, O> Service<Req> for Reported<S, O>
where
    S: Service<Req>,
    O: Observe<TrafficTicket, S::Response, S::Error> + Clone,
{
    type Response = O::Response;
    type Error = S::Error;
    type Future = ReportFuture<S::Future, O>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let unwinding = OnUnwind(|| self.traffic.failed_readiness());
        let polled = self.inner.poll_ready(cx);
        unwinding.disarm();
        polled.map_err(|error| {
            self.traffic.failed_readiness();
            error
        })
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let mut ticket = self.traffic.begin();
        let unwinding = OnUnwind(|| ticket.take().failure());
        let future = self.inner.call(request);
        unwinding.disarm();
        ReportFuture::new(future, ticket, self.observe.clone())
    }
}

impl<S: fmt::Debug, O> fmt::Debug for Reported<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reported")
            .field("inner", &self.inner)
            .field("traffic", &self.traffic)
            .finish_non_exhaustive()
    }
}
