//! The futures of the fallback's services.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use brownout_registry::DegradationLevel;
use pin_project::pin_project;
use tokio::time::{Sleep, sleep_until};

use crate::core::Degraded;

use super::{
    clock::Clock,
    conclude::Conclude,
    descent::{End, Run, ServedBy},
    judge::Judge,
    mark::MarkDegraded,
    plan::Plan,
    requests::Requests,
};

pub use super::{
    descent::{LastRun, OrRun, PrimaryRun},
    tier::{Answering, Oneshot, Trying},
};

/// The response of a [`Fallback`](super::Fallback).
///
/// Dropping it drops whoever is being asked; nothing goes on behind it. A panic of the primary or of a tier goes on to
/// the caller.
#[pin_project]
pub struct ResponseFuture<Req, Res, E, R, J, Q, M, X> {
    #[pin]
    run: R,
    /// Made only for a call that has a deadline and was not answered at once. Boxed, since it is larger than all the
    /// rest, which every call moves.
    timer: Option<Pin<Box<Sleep>>>,
    clock: Clock,
    plan: Plan<J, Q>,
    mark: M,
    conclude: X,
    /// What the run asks and answers; it holds none of it.
    call: PhantomData<fn(Req) -> Result<Res, E>>,
}

impl<Req, Res, E, R, J, Q, M, X> ResponseFuture<Req, Res, E, R, J, Q, M, X> {
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(super) fn new(run: R, plan: Plan<J, Q>, mark: M, conclude: X) -> Self {
        Self {
            run,
            timer: None,
            clock: Clock::start(plan.watch.as_ref()),
            plan,
            mark,
            conclude,
            call: PhantomData,
        }
    }
}

impl<Req, Res, E, R, J, Q, M, X> Future for ResponseFuture<Req, Res, E, R, J, Q, M, X>
where
    R: Run<Req, Res, E, J, Q>,
    J: Judge<Res, E>,
    Q: Requests<Req>,
    M: MarkDegraded<Res>,
    X: Conclude<Res, E, J::Neutral, Q::Stuck, R::Failed>,
{
    type Output = Result<X::Response, X::Error>;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.run.as_mut().poll_run(cx, this.plan, this.clock) {
                Poll::Ready(end) => {
                    return Poll::Ready(conclude(end, this.plan, this.mark, this.conclude));
                }
                Poll::Pending if !is_due(this.timer, this.clock, cx) => {
                    return Poll::Pending;
                }
                // Once more: whoever is being asked may just have answered, and else hears that its time is over.
                Poll::Pending => this.clock.expire(),
            }
        }
    }
}

/// Whether the time is over for whoever is being asked. Sees to it that this task is woken when it is.
#[inline]
fn is_due(timer: &mut Option<Pin<Box<Sleep>>>, clock: &Clock, cx: &mut Context<'_>) -> bool {
    let Some(due) = clock.due() else {
        return false;
    };
    let sleep = timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
    if sleep.deadline() != due {
        sleep.as_mut().reset(due);
    }
    sleep.as_mut().poll(cx).is_ready()
}

#[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
#[inline(always)]
fn conclude<Req, Res, E, J, Q, M, X, F>(
    end: End<Res, E, J::Neutral, Q::Stuck, F>,
    plan: &Plan<J, Q>,
    mark: &M,
    conclude: &X,
) -> Result<X::Response, X::Error>
where
    J: Judge<Res, E>,
    Q: Requests<Req>,
    M: MarkDegraded<Res>,
    X: Conclude<Res, E, J::Neutral, Q::Stuck, F>,
{
    match end {
        End::Answer(response, None) => {
            if let Some(watch) = &plan.watch {
                watch.primary_answered();
            }
            Ok(conclude.answer(response))
        }
        End::Answer(mut response, Some(by)) => {
            if let Some(watch) = &plan.watch {
                watch.served(&by);
            }
            if M::MARKS {
                mark.mark(&mut response, degraded(&by, plan));
            }
            Ok(conclude.answer(response))
        }
        End::Neutral(neutral, error) => {
            if let Some(watch) = &plan.watch {
                watch.primary_answered();
            }
            conclude.neutral(neutral, error)
        }
        End::Stuck(stuck, outcome, history) => conclude.stuck(stuck, outcome, history),
        End::Failed(failed) => conclude.failed(failed),
    }
}

#[cold]
fn degraded<J, Q>(by: &ServedBy, plan: &Plan<J, Q>) -> Degraded {
    let watch = plan.watch.as_ref();
    Degraded {
        dependency: watch.and_then(super::watch::Watch::public_name),
        tier: Some(by.tier.into()),
        reason: by.reason,
        level: watch
            .and_then(super::watch::Watch::level)
            .unwrap_or(DegradationLevel::Full),
        age: None,
    }
}

impl<Req, Res, E, R: fmt::Debug, J, Q, M, X> fmt::Debug
    for ResponseFuture<Req, Res, E, R, J, Q, M, X>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("asks", &self.run)
            .finish_non_exhaustive()
    }
}
