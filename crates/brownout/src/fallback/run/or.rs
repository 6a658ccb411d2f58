use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project::pin_project;

use super::{End, Outcome, Run, ServedBy, Spent, Waiting, say_stuck, served_by};
use crate::{
    core::{Cause, oneshot::NoAnswer},
    fallback::{
        asks::Asks,
        chain::Step,
        failed::{Failed, Failure, History},
        join::Join,
        judge::Judge,
        requests::Requests,
        tier::Attempt,
        timer::{Timer, poll_before},
        watch::{Skip, Watch},
    },
};

/// A tier's part of a call, behind `R`.
#[pin_project]
pub struct OrRun<R, A, F, K> {
    #[pin]
    state: State<R, F>,
    /// The tier, until it is its turn.
    next: Option<Waiting<A>>,
    /// From then on, what led to it and the request for the tiers after it.
    kept: Option<(History, K)>,
}

// A tag of its own: one in the niche of what is inside costs more instructions to read than the byte is worth.
#[pin_project(project = Project)]
#[repr(u8)]
enum State<R, F> {
    /// Those before the tier are being asked.
    Earlier(#[pin] R),
    Here {
        #[pin]
        future: F,
        /// When it has to be done.
        timer: Timer,
        by: ServedBy,
    },
    /// Between the two, so that what has failed is gone before the next begins.
    Moving,
}

type Answer<A, Req, Q> =
    <<A as Asks<Req, Q>>::Tier as Attempt<<A as Asks<Req, Q>>::Request>>::Response;
type TierError<A, Req, Q> =
    <<A as Asks<Req, Q>>::Tier as Attempt<<A as Asks<Req, Q>>::Request>>::Error;

impl<R, A, F, K, Res, E, N, LE, Out, Req, J, Q, W> Run<Req, J, Q, W> for OrRun<R, A, F, K>
where
    R: Run<Req, J, Q, W, End = End<Res, E, N, Q::Stuck, Spent<Res, E, LE, K>>>,
    A: Asks<Req, Q>,
    A::Tier: Attempt<A::Request, Future = F>,
    TierError<A, Req, Q>: fmt::Display + 'static,
    F: Future<Output = Result<Answer<A, Req, Q>, NoAnswer<TierError<A, Req, Q>>>>,
    J: Join<Res, Answer<A, Req, Q>, Both = Out> + Judge<Answer<A, Req, Q>, E>,
    Q: Requests<Req, Kept = K>,
    W: Watch,
{
    const TIERS: usize = R::TIERS + 1;
    type End = End<Out, E, N, Q::Stuck, Spent<Out, E, TierError<A, Req, Q>, K>>;

    fn poll_run(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        judge: &J,
        requests: &Q,
        watch: &mut W,
    ) -> Poll<Self::End> {
        let mut this = self.project();
        if let Project::Earlier(run) = this.state.as_mut().project() {
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
            this.state.set(State::Moving);
            let Some(Waiting(step)) = this.next.take() else {
                return Poll::Pending;
            };
            let Spent {
                outcome,
                history,
                kept,
            } = spent;
            if let Err(stuck) = requests.may_descend(&kept, history.cause()) {
                say_stuck(step.name, &history);
                let outcome = outcome.forget_tier().map(J::earlier);
                return Poll::Ready(End::Stuck(stuck, outcome, history));
            }
            let (name, tier) = (step.name, step.tier.tier());
            // In this order: who is passed over must not take with it a body that nobody has been given yet.
            let asked = match watch.begin(R::TIERS, tier.timeout()) {
                Ok(due) => match A::ask(requests, kept) {
                    (Some(request), kept) => Ok((request, due, kept)),
                    (None, kept) => Err((Skip::BodyNotKept, kept)),
                },
                Err(skip) => Err((skip, kept)),
            };
            let (request, due, kept) = match asked {
                Ok(asked) => asked,
                Err(_) if watch.is_exercise() => return Poll::Ready(End::Exercised),
                Err((skip, kept)) => {
                    return Poll::Ready(End::Failed(Spent {
                        outcome: skipped(outcome, skip).map(J::earlier),
                        history: history.and(Failure::new(name, skip.cause(), None)),
                        kept,
                    }));
                }
            };
            // What failed (a response with its body, say) is gone before the next begins.
            drop(outcome);
            let by = served_by(name, R::TIERS, A::HEAD, &history);
            *this.kept = Some((history.clone(), kept));
            let failed = Failed::new(request, history);
            let Some(future) = watch.guard(by.index, || tier.attempt(failed)) else {
                return Poll::Ready(End::Exercised);
            };
            this.state.set(State::Here {
                future,
                timer: Timer::new(due),
                by,
            });
        }
        let Project::Here { future, timer, by } = this.state.as_mut().project() else {
            return Poll::Pending;
        };
        let by = *by;
        let polled = watch.guard(by.index, || {
            let trusted = |cause| watch.trusted_of_tier(by.index, cause);
            poll_before(future, timer, cx).map(|answered| judged(answered, judge, trusted))
        });
        let Some(polled) = polled else {
            return Poll::Ready(End::Exercised);
        };
        let (outcome, cause) = match ready!(polled) {
            Ok(response) => {
                watch.tier_answered(by.index);
                return Poll::Ready(End::Served(J::tier(response), by));
            }
            Err(failed) => failed,
        };
        watch.tier_failed(by.index, &cause);
        if watch.is_exercise() {
            return Poll::Ready(End::Exercised);
        }
        this.state.set(State::Moving);
        let Some((history, kept)) = this.kept.take() else {
            return Poll::Pending;
        };
        let outcome = if requests.has_effect(&kept) && may_be_done(&history, &cause) {
            without_proof(outcome, judge)
        } else {
            outcome
        };
        let history = history.and(Failure::new(by.tier, cause, watch.elapsed()));
        Poll::Ready(End::Failed(Spent {
            outcome: outcome.map(J::tier),
            history,
            kept,
        }))
    }
}

/// What is left where a tier is not asked: one who is as good as absent changes nothing of what the caller gets in the
/// end.
fn skipped<Res, E, L, T>(outcome: Outcome<Res, E, L>, skip: Skip) -> Outcome<Res, E, T> {
    match skip {
        Skip::Late => Outcome::Nothing,
        Skip::SwitchedOff | Skip::Unhealthy | Skip::BodyNotKept => outcome.forget_tier(),
    }
}

/// A tier's answer, if it is none that is a failure; else what it leaves, and why.
fn judged<Res, E, T, J>(
    answered: Option<Result<Res, NoAnswer<T>>>,
    judge: &J,
    trusted: impl FnOnce(Cause) -> Cause,
) -> Result<Res, (Outcome<Res, E, T>, Cause)>
where
    J: Judge<Res, E>,
    T: fmt::Display + 'static,
{
    Err(match answered {
        Some(Ok(response)) => match judge.answer(&response) {
            None => return Ok(response),
            Some(cause) => (Outcome::Answer(response), trusted(cause)),
        },
        Some(Err(NoAnswer::NotReady(error))) => {
            let cause = Cause::not_ready(Cause::of_error(&error));
            (Outcome::Tier(error), cause)
        }
        Some(Err(NoAnswer::Failed(error))) => {
            let cause = trusted(Cause::of_error(&error));
            (Outcome::Tier(error), cause)
        }
        None => (Outcome::Nothing, Cause::no_answer_in_time()),
    })
}

/// Whether a write may have been made by those of whom the tier's failure seems to prove that it was not.
fn may_be_done(before: &History, cause: &Cause) -> bool {
    let claims = cause.refusal().is_some() && !cause.proves_not_sent();
    claims || !before.proves_not_sent()
}

/// What a tier leaves of a write that somebody before it, or the tier itself, may have done: nothing by which it would
/// look to those above as if it had gone to nobody.
fn without_proof<Res, E, T, J>(outcome: Outcome<Res, E, T>, judge: &J) -> Outcome<Res, E, T>
where
    J: Judge<Res, E>,
    T: fmt::Display + 'static,
{
    match outcome {
        Outcome::Answer(mut response) => {
            judge.disprove(&mut response);
            Outcome::Answer(response)
        }
        Outcome::Tier(error) if Cause::of_any_chain(&error).proves_not_sent() => Outcome::Nothing,
        other => other,
    }
}

impl<R, A, F, K> OrRun<R, A, F, K> {
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(in crate::fallback) fn new(run: R, step: Step<A>) -> Self {
        Self {
            state: State::Earlier(run),
            next: Some(Waiting(step)),
            kept: None,
        }
    }
}

impl<R: fmt::Debug, A, F, K> fmt::Debug for OrRun<R, A, F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Earlier(run) => run.fmt(f),
            State::Here { by, .. } => f.write_str(by.tier),
            State::Moving => f.write_str("nobody"),
        }
    }
}
