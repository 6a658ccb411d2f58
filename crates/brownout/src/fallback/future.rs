//! The futures of the fallback's services.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project::pin_project;

use super::{
    conclude::{Conclude, conclude},
    mark::MarkDegraded,
    plan::Plan,
    requests::Requests,
    run::{End, Run, ServedBy, Unanswered},
    watch::{Resume, Watch},
};
use crate::core::{Degraded, caught, mark::add as add_mark, span};

pub use super::{
    run::{LastRun, OrRun, PrimaryRun},
    tier::{Answering, Trying},
};
pub use crate::core::oneshot::{Asking, Oneshot};

/// The response of a [`Fallback`](super::Fallback).
///
/// Dropping it drops whoever is being asked; nothing goes on behind it. A panic of the primary or of a tier goes on to
/// the caller, unless the tier is only exercised.
#[pin_project]
pub struct ResponseFuture<Req, R, P, H> {
    #[pin]
    run: R,
    plan: P,
    held: H,
    /// The run asks with it, and holds it itself.
    request: PhantomData<fn(Req)>,
}

impl<Req, R, P, H> ResponseFuture<Req, R, P, H> {
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(super) fn new(run: R, plan: P, held: H) -> Self {
        Self {
            run,
            plan,
            held,
            request: PhantomData,
        }
    }
}

impl<Req, R, Res, E, N, F, J, Q, M, X, W, H> Future
    for ResponseFuture<Req, R, Plan<J, Q, M, X, W>, H>
where
    R: Run<Req, J, Q, W, End = End<Res, E, N, Q::Stuck, F>>,
    N: Into<X::Proof>,
    F: Unanswered<Res, E, Proof: Into<X::Proof>>,
    Q: Requests<Req, Stuck: Into<X::Proof>>,
    M: MarkDegraded<Res>,
    X: Conclude<Res, E, F::Tier>,
    W: Watch,
    H: Resume<R, Req, Q>,
{
    type Output = Result<X::Response, X::Error>;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let Plan {
                judge,
                requests,
                mark,
                conclude: strategy,
                watch,
            } = &mut *this.plan;
            let end = ready!(this.run.as_mut().poll_run(cx, judge, requests, watch));
            let primary_answered = || watch.primary_answered();
            let tier_answered = |answer: &mut Res, by: ServedBy| {
                watch.served(&by);
                if M::MARKS || W::NAMES {
                    add_mark(mark, answer, by.tier, || degraded(&by, watch));
                } else {
                    span::degraded(by.tier);
                }
            };
            if let Some(output) = conclude(end, strategy, primary_answered, tier_answered) {
                return Poll::Ready(output);
            }
            if H::NEVER {
                return Poll::Pending;
            }
            // A tier that was exercised did not answer.
            watch.end_exercise();
            match this.held.resume(requests) {
                Some(run) => give_up(this.run.as_mut(), run),
                None => return Poll::Pending,
            }
        }
    }
}

/// Drops what a tier that was exercised has left, and begins anew. A panic in that is the tier's affair as well: the new
/// is in the place of the old even then.
#[cold]
fn give_up<R>(mut run: Pin<&mut R>, anew: R) {
    caught(|| run.set(anew));
}

#[cold]
fn degraded(by: &ServedBy, watch: &impl Watch) -> Degraded {
    Degraded {
        dependency: watch.public_name(),
        tier: Some(by.tier.into()),
        reason: by.reason,
        level: watch.level(),
        age: None,
        head_only: by.head_only,
    }
}

impl<Req, R: fmt::Debug, P, H> fmt::Debug for ResponseFuture<Req, R, P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("asks", &self.run)
            .finish_non_exhaustive()
    }
}
