use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project::pin_project;

use super::{End, Run, ServedBy, Spent, Waiting, say_stuck, served_by};
use crate::{
    core::{Cause, oneshot::NoAnswer},
    fallback::{
        asks::Asks,
        chain::Step,
        failed::Failed,
        join::Join,
        requests::Requests,
        tier::Attempt,
        timer::{Timer, poll_before},
        watch::Watch,
    },
};

/// The last tier's part of a call, behind `R`.
#[pin_project]
pub struct LastRun<R, A, F> {
    #[pin]
    earlier: Earlier<R, A>,
    #[pin]
    here: Here<F>,
}

// No tag of its own, as in the primary's part.
#[pin_project(project = EarlierProject, project_replace = EarlierTaken)]
enum Earlier<R, A> {
    /// Those before the tier are being asked.
    Asked {
        #[pin]
        run: R,
        next: Waiting<A>,
    },
    Failed,
}

// A tag of its own: nothing is moved into it, and one in the niche of what is inside costs more instructions to read than
// the byte is worth.
#[pin_project(project = HereProject)]
#[repr(u8)]
enum Here<F> {
    Waiting,
    Asked {
        #[pin]
        future: F,
        /// When it has to be done; never, unless it is exercised.
        timer: Timer,
        by: ServedBy,
    },
}

impl<R, A, F, K, Res, E, N, LE, Out, TRes, Req, J, Q, W> Run<Req, J, Q, W> for LastRun<R, A, F>
where
    R: Run<Req, J, Q, W, End = End<Res, E, N, Q::Stuck, Spent<Res, E, LE, K>>>,
    A: Asks<Req, Q>,
    A::Tier: Attempt<A::Request, Response = TRes, Error = Infallible, Future = F>,
    F: Future<Output = Result<TRes, NoAnswer<Infallible>>>,
    J: Join<Res, TRes, Both = Out>,
    Q: Requests<Req, Kept = K>,
    W: Watch,
{
    const TIERS: usize = R::TIERS + 1;
    type End = End<Out, E, N, Q::Stuck, Infallible>;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn poll_run(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        judge: &J,
        requests: &Q,
        watch: &mut W,
    ) -> Poll<Self::End> {
        let mut this = self.project();
        if let EarlierProject::Asked { run, .. } = this.earlier.as_mut().project() {
            let spent = match ready!(run.poll_run(cx, judge, requests, watch)) {
                End::Answer(response) => return Poll::Ready(End::Answer(J::earlier(response))),
                End::Served(response, by) => {
                    return Poll::Ready(End::Served(J::earlier(response), by));
                }
                End::Neutral(neutral, error) => {
                    return Poll::Ready(End::Neutral(neutral, error));
                }
                End::Stuck(stuck, outcome, history) => {
                    let outcome = outcome.map(J::earlier);
                    return Poll::Ready(End::Stuck(stuck, outcome, history));
                }
                End::Exercised => return Poll::Ready(End::Exercised),
                End::Failed(spent) => spent,
            };
            let EarlierTaken::Asked {
                next: Waiting(step),
                ..
            } = this.earlier.project_replace(Earlier::Failed)
            else {
                return Poll::Pending;
            };
            let Spent {
                outcome,
                history,
                kept,
            } = spent;
            let may_descend = requests.may_descend(&kept, history.cause());
            if may_descend.is_err() {
                say_stuck(step.name, &history);
            }
            let asked = may_descend.and_then(|()| A::ask_last(requests, kept));
            let request = match asked {
                Ok(request) => request,
                Err(_) if watch.is_exercise() => return Poll::Ready(End::Exercised),
                Err(stuck) => {
                    let outcome = outcome.forget_tier().map(J::earlier);
                    return Poll::Ready(End::Stuck(stuck, outcome, history));
                }
            };
            // What failed (a response with its body, say) is gone before the last begins.
            drop(outcome);
            let by = served_by(step.name, R::TIERS, A::HEAD, &history);
            let timer = Timer::new(watch.begin_last());
            let failed = Failed::new(request, history);
            let Some(future) = watch.guard(by.index, || step.tier.tier().attempt(failed)) else {
                return Poll::Ready(End::Exercised);
            };
            this.here.set(Here::Asked { future, timer, by });
        }
        let HereProject::Asked { future, timer, by } = this.here.project() else {
            return Poll::Pending;
        };
        let Some(polled) = watch.guard(by.index, || poll_before(future, timer, cx)) else {
            return Poll::Ready(End::Exercised);
        };
        match ready!(polled) {
            Some(Ok(response)) => {
                watch.tier_answered(by.index);
                Poll::Ready(End::Served(J::tier(response), *by))
            }
            Some(Err(NoAnswer::NotReady(never) | NoAnswer::Failed(never))) => match never {},
            None => {
                watch.tier_failed(by.index, &Cause::no_answer_in_time());
                Poll::Ready(End::Exercised)
            }
        }
    }
}

impl<R, A, F> LastRun<R, A, F> {
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(in crate::fallback) fn new(run: R, step: Step<A>) -> Self {
        Self {
            earlier: Earlier::Asked {
                run,
                next: Waiting(step),
            },
            here: Here::Waiting,
        }
    }
}

impl<R: fmt::Debug, A, F> fmt::Debug for LastRun<R, A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.earlier, &self.here) {
            (Earlier::Asked { run, .. }, _) => run.fmt(f),
            (_, Here::Asked { by, .. }) => f.write_str(by.tier),
            (Earlier::Failed, Here::Waiting) => f.write_str("nobody"),
        }
    }
}
