//! A call on its way down: the primary's part, and a tier's.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project::pin_project;

use crate::core::DegradeReason;

use super::{
    cause::Cause,
    chain::Step,
    clock::Clock,
    failed::{Failed, Failure, History},
    judge::Judge,
    plan::Plan,
    requests::Requests,
    tier::{Attempt, NoAnswer},
};

/// The part of a call that has come so far down as `Self`.
pub trait Run<Req, Res, E, J, Q>
where
    J: Judge<Res, E>,
    Q: Requests<Req>,
{
    /// What is left when all so far have failed; [`Infallible`] where the last tier always answers.
    type Failed;

    /// Polls whoever is asked at the moment, and goes on to the next one when it fails.
    fn poll_run(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        plan: &Plan<J, Q>,
        clock: &mut Clock,
    ) -> Polled<Res, E, J::Neutral, Q::Stuck, Self::Failed>;
}

/// Polled: how far a call has come.
pub type Polled<Res, E, N, St, F> = Poll<End<Res, E, N, St, F>>;

/// How far a call has come.
#[derive(Debug)]
pub enum End<Res, E, N, St, F> {
    /// Somebody answered; by a tier, if so.
    Answer(Res, Option<ServedBy>),
    /// The primary failed, but in a way that is the caller's affair.
    Neutral(N, E),
    /// Somebody failed, and the request may not go further.
    Stuck(St, Outcome<Res, E, Infallible>, History),
    /// All failed.
    Failed(F),
}

/// Which tier served a call, and why it was asked.
#[derive(Clone, Copy, Debug)]
pub struct ServedBy {
    pub(super) tier: &'static str,
    pub(super) index: usize,
    pub(super) reason: DegradeReason,
}

/// What is left of a call that has failed so far.
#[derive(Debug)]
pub struct Spent<Res, E, T, K> {
    pub(super) outcome: Outcome<Res, E, T>,
    pub(super) history: History,
    kept: K,
}

/// What the one who failed last has left.
#[derive(Debug)]
pub enum Outcome<Res, E, T> {
    /// An answer that was judged a failure.
    Answer(Res),
    /// The primary's error.
    Primary(E),
    /// The tier's error.
    Tier(T),
    /// Nothing: there was no time, or the error was one of readiness.
    Nothing,
}

/// The primary's part of a call.
#[pin_project(project = PrimaryProject)]
pub enum PrimaryRun<F, K> {
    /// It was called.
    Called {
        /// Its future.
        #[pin]
        future: F,
        /// The request, kept for the tiers.
        kept: Option<K>,
    },
    /// Its readiness failed, so it was not called.
    NotReady(Option<(Box<Cause>, K)>),
}

/// A tier's part of a call, behind `R`.
#[pin_project(project = OrProject)]
pub enum OrRun<R, T, F, K> {
    /// Those before the tier are being asked.
    Earlier {
        /// They.
        #[pin]
        run: R,
        /// The tier.
        next: Option<Waiting<T>>,
    },
    /// The tier is being asked.
    Here {
        /// Its future.
        #[pin]
        future: F,
        /// What led here, and the request for the tiers after this one.
        kept: Option<(History, K)>,
        /// Who it is.
        by: ServedBy,
    },
    /// Between the two, so that what has failed is gone before the next begins.
    Moving,
}

/// The last tier's part of a call, behind `R`.
#[pin_project(project = LastProject)]
pub enum LastRun<R, T, F> {
    /// Those before the tier are being asked.
    Earlier {
        /// They.
        #[pin]
        run: R,
        /// The tier.
        next: Option<Waiting<T>>,
    },
    /// The tier is being asked.
    Here {
        /// Its future.
        #[pin]
        future: F,
        /// Who it is.
        by: ServedBy,
    },
    /// Between the two.
    Moving,
}

/// A tier that waits for its turn.
#[derive(Debug)]
pub struct Waiting<T>(Step<T>);

impl<F, K, Req, Res, E, J, Q> Run<Req, Res, E, J, Q> for PrimaryRun<F, K>
where
    F: Future<Output = Result<Res, E>>,
    J: Judge<Res, E>,
    Q: Requests<Req, Kept = K>,
{
    type Failed = Spent<Res, E, Infallible, K>;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn poll_run(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        plan: &Plan<J, Q>,
        clock: &mut Clock,
    ) -> Polled<Res, E, J::Neutral, Q::Stuck, Self::Failed> {
        let (future, kept) = match self.project() {
            PrimaryProject::Called { future, kept } => (future, kept),
            PrimaryProject::NotReady(failed) => {
                let Some((cause, kept)) = failed.take() else {
                    return Poll::Pending;
                };
                return failed_primary(Outcome::Nothing, *cause, kept, clock);
            }
        };
        let (outcome, cause) = match future.poll(cx) {
            Poll::Ready(Ok(response)) => match plan.judge.answer(&response) {
                None => return Poll::Ready(End::Answer(response, None)),
                Some(cause) => (Outcome::Answer(response), cause),
            },
            Poll::Ready(Err(error)) => match plan.judge.error(&error) {
                Err(neutral) => return Poll::Ready(End::Neutral(neutral, error)),
                Ok(cause) => (Outcome::Primary(error), cause),
            },
            Poll::Pending if clock.is_expired() => (Outcome::Nothing, Cause::timed_out()),
            Poll::Pending => return Poll::Pending,
        };
        let Some(kept) = kept.take() else {
            return Poll::Pending;
        };
        failed_primary(outcome, plan.trusted(cause), kept, clock)
    }
}

#[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
#[inline(always)]
fn failed_primary<Res, E, N, St, K>(
    outcome: Outcome<Res, E, Infallible>,
    cause: Cause,
    kept: K,
    clock: &Clock,
) -> Polled<Res, E, N, St, Spent<Res, E, Infallible, K>> {
    Poll::Ready(End::Failed(Spent {
        outcome,
        history: History::new(Failure::new(PRIMARY, cause, clock.elapsed())),
        kept,
    }))
}

/// What the primary is called among those who failed.
pub(super) const PRIMARY: &str = "primary";

impl<R, T, F, K, LE, Req, Res, E, J, Q> Run<Req, Res, E, J, Q> for OrRun<R, T, F, K>
where
    R: Run<Req, Res, E, J, Q, Failed = Spent<Res, E, LE, K>>,
    T: Attempt<Req, Res, Future = F>,
    T::Error: fmt::Display + 'static,
    F: Future<Output = Result<Res, NoAnswer<T::Error>>>,
    J: Judge<Res, E>,
    Q: Requests<Req, Kept = K>,
{
    type Failed = Spent<Res, E, T::Error, K>;

    fn poll_run(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        plan: &Plan<J, Q>,
        clock: &mut Clock,
    ) -> Polled<Res, E, J::Neutral, Q::Stuck, Self::Failed> {
        loop {
            let (step, spent) = match self.as_mut().project() {
                OrProject::Earlier { run, next } => match ready!(run.poll_run(cx, plan, clock)) {
                    End::Answer(response, by) => return Poll::Ready(End::Answer(response, by)),
                    End::Neutral(neutral, error) => {
                        return Poll::Ready(End::Neutral(neutral, error));
                    }
                    End::Stuck(stuck, outcome, history) => {
                        return Poll::Ready(End::Stuck(stuck, outcome, history));
                    }
                    End::Failed(spent) => match next.take() {
                        Some(Waiting(step)) => (step, spent),
                        None => return Poll::Pending,
                    },
                },
                OrProject::Here { future, kept, by } => {
                    let (outcome, cause) = match future.poll(cx) {
                        Poll::Ready(Ok(response)) => match plan.judge.answer(&response) {
                            None => return Poll::Ready(End::Answer(response, Some(*by))),
                            Some(cause) => (Outcome::Answer(response), cause),
                        },
                        Poll::Ready(Err(NoAnswer::NotReady(error))) => {
                            let cause = Cause::not_ready(Cause::of_error(&error));
                            (Outcome::Tier(error), cause)
                        }
                        Poll::Ready(Err(NoAnswer::Failed(error))) => {
                            let cause = Cause::of_error(&error);
                            (Outcome::Tier(error), cause)
                        }
                        Poll::Pending if clock.is_expired() => {
                            (Outcome::Nothing, Cause::timed_out())
                        }
                        Poll::Pending => return Poll::Pending,
                    };
                    let Some((mut history, kept)) = kept.take() else {
                        return Poll::Pending;
                    };
                    history.push(Failure::new(by.tier, cause, clock.elapsed()));
                    return Poll::Ready(End::Failed(Spent {
                        outcome,
                        history,
                        kept,
                    }));
                }
                OrProject::Moving => return Poll::Pending,
            };
            self.set(Self::Moving);
            let (request, mut history) = match descend(plan, spent) {
                Ok(descended) => descended,
                Err((stuck, outcome, history)) => {
                    return Poll::Ready(End::Stuck(stuck, outcome, history));
                }
            };
            if !clock.begin(step.timeout) {
                history.push(Failure::new(step.name, Cause::skipped(), clock.elapsed()));
                return Poll::Ready(End::Failed(Spent {
                    outcome: Outcome::Nothing,
                    history,
                    kept: plan.requests.whole(request),
                }));
            }
            let by = served_by(&step, &history);
            let kept = Some((history.clone(), plan.requests.keep(&request)));
            let future = step.tier.attempt(Failed::new(request, history));
            self.set(Self::Here { future, kept, by });
        }
    }
}

impl<R, T, F, K, LE, Req, Res, E, J, Q> Run<Req, Res, E, J, Q> for LastRun<R, T, F>
where
    R: Run<Req, Res, E, J, Q, Failed = Spent<Res, E, LE, K>>,
    T: Attempt<Req, Res, Error = Infallible, Future = F>,
    F: Future<Output = Result<Res, NoAnswer<Infallible>>>,
    J: Judge<Res, E>,
    Q: Requests<Req, Kept = K>,
{
    type Failed = Infallible;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn poll_run(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        plan: &Plan<J, Q>,
        clock: &mut Clock,
    ) -> Polled<Res, E, J::Neutral, Q::Stuck, Infallible> {
        loop {
            let (step, spent) = match self.as_mut().project() {
                LastProject::Earlier { run, next } => match ready!(run.poll_run(cx, plan, clock)) {
                    End::Answer(response, by) => return Poll::Ready(End::Answer(response, by)),
                    End::Neutral(neutral, error) => {
                        return Poll::Ready(End::Neutral(neutral, error));
                    }
                    End::Stuck(stuck, outcome, history) => {
                        return Poll::Ready(End::Stuck(stuck, outcome, history));
                    }
                    End::Failed(spent) => match next.take() {
                        Some(Waiting(step)) => (step, spent),
                        None => return Poll::Pending,
                    },
                },
                LastProject::Here { future, by } => {
                    return match ready!(future.poll(cx)) {
                        Ok(response) => Poll::Ready(End::Answer(response, Some(*by))),
                        Err(NoAnswer::NotReady(never) | NoAnswer::Failed(never)) => match never {},
                    };
                }
                LastProject::Moving => return Poll::Pending,
            };
            self.set(Self::Moving);
            let (request, history) = match descend(plan, spent) {
                Ok(descended) => descended,
                Err((stuck, outcome, history)) => {
                    return Poll::Ready(End::Stuck(stuck, outcome, history));
                }
            };
            clock.begin_last();
            let by = served_by(&step, &history);
            let future = step.tier.attempt(Failed::new(request, history));
            self.set(Self::Here { future, by });
        }
    }
}

type StuckAt<Res, E, St> = (St, Outcome<Res, E, Infallible>, History);

/// The request for the next tier. What failed (a response with its body, say) is dropped, unless the request may not
/// go further: then it is what the caller gets.
#[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
#[inline(always)]
fn descend<Req, Res, E, T, J, Q>(
    plan: &Plan<J, Q>,
    spent: Spent<Res, E, T, Q::Kept>,
) -> Result<(Req, History), StuckAt<Res, E, Q::Stuck>>
where
    Q: Requests<Req>,
{
    match plan.requests.descend(spent.kept, spent.history.cause()) {
        Ok(request) => Ok((request, spent.history)),
        Err(stuck) => {
            let outcome = match spent.outcome {
                Outcome::Answer(response) => Outcome::Answer(response),
                Outcome::Primary(error) => Outcome::Primary(error),
                Outcome::Tier(_) | Outcome::Nothing => Outcome::Nothing,
            };
            Err((stuck, outcome, spent.history))
        }
    }
}

#[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
#[inline(always)]
fn served_by<T>(step: &Step<T>, history: &History) -> ServedBy {
    ServedBy {
        tier: step.name,
        index: step.index,
        reason: history.first_cause().reason(),
    }
}

impl<R, T, F, K> OrRun<R, T, F, K> {
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(super) fn new(run: R, step: Step<T>) -> Self {
        let next = Some(Waiting(step));
        Self::Earlier { run, next }
    }
}

impl<R, T, F> LastRun<R, T, F> {
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(super) fn new(run: R, step: Step<T>) -> Self {
        let next = Some(Waiting(step));
        Self::Earlier { run, next }
    }
}

impl<F, K> fmt::Debug for PrimaryRun<F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the primary")
    }
}

impl<R: fmt::Debug, T, F, K> fmt::Debug for OrRun<R, T, F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earlier { run, .. } => run.fmt(f),
            Self::Here { by, .. } => f.write_str(by.tier),
            Self::Moving => f.write_str("nobody"),
        }
    }
}

impl<R: fmt::Debug, T, F> fmt::Debug for LastRun<R, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earlier { run, .. } => run.fmt(f),
            Self::Here { by, .. } => f.write_str(by.tier),
            Self::Moving => f.write_str("nobody"),
        }
    }
}
