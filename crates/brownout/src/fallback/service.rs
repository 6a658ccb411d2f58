use std::{
    fmt,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{
    cause::Cause,
    chain::Tiers,
    conclude::Conclude,
    descent::{PrimaryRun, Run},
    future::ResponseFuture,
    judge::Judge,
    mark::MarkDegraded,
    plan::Plan,
    requests::Requests,
    watch::Watches,
};

/// A service with tiers that answer when it cannot. Made by [`FallbackLayer`](super::FallbackLayer).
///
/// It is ready when its primary is, and also when the primary's readiness has failed: then the call goes to the tiers.
/// A clone copies no readiness.
pub struct Fallback<S, T, J, Q, M, X> {
    primary: S,
    ready: Ready,
    parts: Parts<T, J, Q, M, X>,
}

/// What a chain consists of, besides its primary.
#[derive(Clone, Debug)]
pub(super) struct Parts<T, J, Q, M, X> {
    pub(super) tiers: T,
    pub(super) plan: Plan<J, Q>,
    pub(super) watches: Option<Watches>,
    pub(super) mark: M,
    pub(super) conclude: X,
}

enum Ready {
    No,
    Primary,
    /// The primary's readiness failed: the call goes to the tiers, whatever the primary says meanwhile.
    /// Boxed, because it is rare and every call would have to move it.
    Failed(Box<Cause>),
}

impl<S, T, J, Q, M, X> Fallback<S, T, J, Q, M, X> {
    pub(super) fn new(primary: S, parts: Parts<T, J, Q, M, X>) -> Self {
        Self {
            primary,
            ready: Ready::No,
            parts,
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
}

impl<S, Req, T, J, Q, M, X> Service<Req> for Fallback<S, T, J, Q, M, X>
where
    S: Service<Req>,
    T: Tiers<Req, S::Response, Q::Kept, PrimaryRun<S::Future, Q::Kept>> + Clone,
    T::Run: Run<Req, S::Response, S::Error, J, Q>,
    J: Judge<S::Response, S::Error> + Clone,
    Q: Requests<Req> + Clone,
    M: MarkDegraded<S::Response> + Clone,
    X: Conclude<
            S::Response,
            S::Error,
            J::Neutral,
            Q::Stuck,
            <T::Run as Run<Req, S::Response, S::Error, J, Q>>::Failed,
        > + Clone,
{
    type Response = X::Response;
    type Error = X::Error;
    type Future = ResponseFuture<Req, S::Response, S::Error, T::Run, J, Q, M, X>;

    #[allow(
        clippy::inline_always,
        reason = "measured: on the way of every call, values stay in registers"
    )]
    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if matches!(self.ready, Ready::Failed(_)) {
            return Poll::Ready(Ok(()));
        }
        self.ready = Ready::No;
        match self.primary.poll_ready(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => self.ready = Ready::Primary,
            Poll::Ready(Err(error)) => {
                self.ready = Ready::Failed(Box::new(Cause::not_ready(
                    self.parts.plan.judge.explain(&error),
                )));
            }
        }
        Poll::Ready(Ok(()))
    }

    #[allow(clippy::inline_always, reason = "see `poll_ready`")]
    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        let parts = &self.parts;
        let plan = Plan {
            judge: parts.plan.judge.clone(),
            requests: parts.plan.requests.clone(),
            watch: parts.watches.as_ref().and_then(Watches::watch),
        };
        let primary = match std::mem::replace(&mut self.ready, Ready::No) {
            Ready::Failed(cause) => {
                PrimaryRun::NotReady(Some((cause, plan.requests.whole(request))))
            }
            Ready::Primary | Ready::No => {
                let kept = Some(plan.requests.keep(&request));
                let future = self.primary.call(request);
                PrimaryRun::Called { future, kept }
            }
        };
        let run = self.parts.tiers.clone().behind(primary);
        ResponseFuture::new(
            run,
            plan,
            self.parts.mark.clone(),
            self.parts.conclude.clone(),
        )
    }
}

impl<S, T, J, Q, M, X> Clone for Fallback<S, T, J, Q, M, X>
where
    S: Clone,
    Parts<T, J, Q, M, X>: Clone,
{
    fn clone(&self) -> Self {
        Self::new(self.primary.clone(), self.parts.clone())
    }
}

impl<S: fmt::Debug, T: fmt::Debug, J, Q, M, X> fmt::Debug for Fallback<S, T, J, Q, M, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("primary", &self.primary)
            .field("tiers", &self.parts.tiers)
            .finish_non_exhaustive()
    }
}
