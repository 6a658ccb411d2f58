use std::{
    fmt,
    future::{Ready, ready},
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use tower_service::Service;

use crate::core::Reject;

use super::{
    failed::RequiredPart,
    form::{Compose, Composed, MarkPartial, Receive, RunOf, SeenBy, SlotsOf},
    future::ResponseFuture,
    gathering::Gathering,
    list::Gather,
    parts::Parts,
    plan::Plan,
};

/// A service whose requests are fanned out to parts first. Made by [`AggregateLayer`](super::AggregateLayer), or by
/// `into_service`, and then it answers the parts themselves.
///
/// It is ready when the service that composes the answer is. The parts are asked for readiness in the call, each on a
/// clone of its own and under its own deadline, so that none of them holds up calls to others. A clone copies no
/// readiness.
pub struct Aggregate<S, L, F, X> {
    inner: S,
    gather: Gatherer<L, F, X>,
}

/// All of an aggregate but the service that composes the answer.
#[derive(Clone)]
pub(super) struct Gatherer<L, F, X> {
    pub(super) parts: L,
    pub(super) plan: Arc<Plan>,
    pub(super) form: F,
    pub(super) reject: X,
}

impl<S, L, F, X> Aggregate<S, L, F, X> {
    pub(super) const fn new(inner: S, gather: Gatherer<L, F, X>) -> Self {
        Self { inner, gather }
    }

    /// The service that composes the answer.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The same, mutably.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the parts off.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, Req, L, F, X> Service<Req> for Aggregate<S, L, F, X>
where
    F: Receive<Req> + Compose<F::Held, SlotsOf<L, F, Req>> + MarkPartial<S::Response> + Clone,
    L: Gather<SeenBy<F, Req>> + Clone,
    S: Service<Composed<L, F, Req>> + Clone,
    X: Reject<S::Response, S::Error, RequiredPart> + Clone,
{
    type Response = X::Response;
    type Error = X::Error;
    type Future =
        ResponseFuture<RunOf<L, F, Req>, F::Held, S, Composed<L, F, Req>, S::Future, F, X>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner
            .poll_ready(cx)
            .map_err(|error| self.gather.reject.fail(error))
    }

    #[allow(clippy::inline_always, reason = "see `ResponseFuture::new`")]
    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        let gather = &self.gather;
        let gathering = Gathering::new(gather.parts.clone().start(), Arc::clone(&gather.plan));
        let held = gather.form.hold(request);
        ResponseFuture::new(
            gathering,
            held,
            ready,
            gather.form.clone(),
            gather.reject.clone(),
        )
    }
}

/// Answers the parts themselves: what composes the answer where an aggregate is a service of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct HandOver(pub(super) ());

impl<Req, T> Service<(Req, Parts<T>)> for HandOver {
    type Response = Parts<T>;
    type Error = RequiredPart;
    type Future = Ready<Result<Parts<T>, RequiredPart>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RequiredPart>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, (_, parts): (Req, Parts<T>)) -> Self::Future {
        ready(Ok(parts))
    }
}

impl<S, L, F, X> Clone for Aggregate<S, L, F, X>
where
    S: Clone,
    Gatherer<L, F, X>: Clone,
{
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.gather.clone())
    }
}

impl<S: fmt::Debug, L: fmt::Debug, F, X> fmt::Debug for Aggregate<S, L, F, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aggregate")
            .field("inner", &self.inner)
            .field("parts", &self.gather.parts)
            .finish_non_exhaustive()
    }
}

impl<L: fmt::Debug, F, X> fmt::Debug for Gatherer<L, F, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gatherer")
            .field("parts", &self.parts)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}
