use std::{
    fmt,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{
    chain::Tiers,
    conclude::Conclude,
    future::ResponseFuture,
    judge::Judge,
    mark::MarkDegraded,
    plan::Plan,
    requests::Requests,
    run::{End, PrimaryRun, Run, Unanswered},
    watch::{Exercising, Resume},
};
use crate::core::{Cause, Oneshot, oneshot};

/// A service with tiers that answer when it cannot. Made by [`FallbackLayer`](super::FallbackLayer).
///
/// It is ready when its primary is, and also when the primary's readiness has failed or the primary is passed over:
/// then the call goes to the tiers. A clone copies no readiness.
pub struct Fallback<S, T, P> {
    primary: S,
    /// Why the call goes to the tiers at once, whatever the primary says meanwhile: its readiness failed, or it was
    /// passed over and not even asked. Boxed, because that is rare and every call would have to move it.
    not_called: Option<Box<Cause>>,
    tiers: T,
    plan: P,
}

impl<S, T, P> Fallback<S, T, P> {
    pub(super) fn new(primary: S, tiers: T, plan: P) -> Self {
        Self {
            primary,
            not_called: None,
            tiers,
            plan,
        }
    }

    /// The primary.
    pub fn get_ref(&self) -> &S {
        &self.primary
    }

    /// The primary, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.primary
    }

    /// Takes the tiers off.
    pub fn into_inner(self) -> S {
        self.primary
    }

    /// Waits until it is ready, calls it once, and waits for the answer: tower's `oneshot`, of which handlers and
    /// spawned tasks may await this one also where types below spell a [`BoxError`](crate::core::BoxError)
    /// ([why](fn@crate::core::oneshot)).
    #[inline]
    pub fn oneshot<Req>(self, request: Req) -> Oneshot<Self, Req, <Self as Service<Req>>::Future>
    where
        Self: Service<Req>,
    {
        oneshot(self, request)
    }
}

impl<S, Req, T, R, Res, N, F, J, Q, M, X, W> Service<Req> for Fallback<S, T, Plan<J, Q, M, X, W>>
where
    S: Service<Req>,
    T: Tiers<Req, Q, PrimaryRun<S::Future, Q::Kept>, Run = R> + Clone,
    R: Run<Req, J, Q, W::Call, End = End<Res, S::Error, N, Q::Stuck, F>>,
    N: Into<X::Proof>,
    F: Unanswered<Res, S::Error, Proof: Into<X::Proof>>,
    J: Judge<S::Response, S::Error> + Clone,
    Q: Requests<Req, Stuck: Into<X::Proof>> + Clone,
    M: MarkDegraded<Res> + Clone,
    X: Conclude<Res, S::Error, F::Tier> + Clone,
    W: Exercising<S, Req, T>,
    W::Held: Resume<R, Req, Q>,
{
    type Response = X::Response;
    type Error = X::Error;
    type Future = ResponseFuture<Req, R, Plan<J, Q, M, X, W::Call>, W::Held>;

    #[allow(
        clippy::inline_always,
        reason = "measured: on the way of every call, values stay in registers"
    )]
    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.not_called.is_some() {
            return Poll::Ready(Ok(()));
        }
        let cause = if self.plan.watch.passes_over_primary() {
            Cause::unhealthy()
        } else {
            match self.primary.poll_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => Cause::not_ready(self.plan.judge.explain(&error)),
            }
        };
        self.not_called = Some(Box::new(cause));
        Poll::Ready(Ok(()))
    }

    #[allow(clippy::inline_always, reason = "see `poll_ready`")]
    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        let mut plan = self.plan.begin();
        let requests = &plan.requests;
        if self.not_called.is_some() {
            let kept = requests.whole(request);
            let primary = PrimaryRun::not_called(why(&mut self.not_called), kept);
            return ResponseFuture::new(self.tiers.clone().behind(primary), plan, W::nothing());
        }
        let kept = requests.keep(&request);
        let is_safe = W::EXERCISES && requests.is_safe(&request);
        let exercised = self.plan.watch.exercise(
            &mut plan.watch,
            is_safe,
            &mut self.primary,
            &self.tiers,
            request,
        );
        match exercised {
            Err(request) => {
                let future = self.primary.call(request);
                let primary = PrimaryRun::called(future, kept);
                ResponseFuture::new(self.tiers.clone().behind(primary), plan, W::nothing())
            }
            Ok(held) => {
                let cause = Box::new(Cause::exercise());
                let primary = PrimaryRun::not_called(cause, kept);
                ResponseFuture::new(self.tiers.clone().behind(primary), plan, held)
            }
        }
    }
}

/// Apart, so that the compiler keeps the way of every other call free of it.
#[cold]
#[allow(
    clippy::unnecessary_box_returns,
    reason = "it goes on boxed, from where it was kept"
)]
fn why(not_called: &mut Option<Box<Cause>>) -> Box<Cause> {
    not_called
        .take()
        .unwrap_or_else(|| Box::new(Cause::unhealthy()))
}

impl<S: Clone, T: Clone, P: Clone> Clone for Fallback<S, T, P> {
    fn clone(&self) -> Self {
        Self::new(self.primary.clone(), self.tiers.clone(), self.plan.clone())
    }
}

impl<S: fmt::Debug, T: fmt::Debug, P> fmt::Debug for Fallback<S, T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("primary", &self.primary)
            .field("tiers", &self.tiers)
            .finish_non_exhaustive()
    }
}
