use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project::pin_project;

use super::{End, Outcome, PRIMARY, Run, Spent};
use crate::{
    core::Cause,
    fallback::{
        failed::{Failure, History},
        judge::Judge,
        requests::Requests,
        watch::Watch,
    },
};

/// The primary's part of a call.
#[pin_project]
pub struct PrimaryRun<F, K> {
    #[pin]
    state: State<F>,
    /// The request, kept for the tiers until it fails.
    kept: Option<K>,
}

// Two kinds only, and no tag of its own: every call is asked for its kind, which takes one comparison, and is moved in one
// piece with what is inside. A tag beside a large future makes two pieces of every move.
#[pin_project(project = Project)]
enum State<F> {
    Called(#[pin] F),
    /// It was not called, for this cause; or it is done.
    NotCalled(Option<Box<Cause>>),
}

impl<F, K> PrimaryRun<F, K> {
    /// It was called.
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(in crate::fallback) fn called(future: F, kept: K) -> Self {
        Self {
            state: State::Called(future),
            kept: Some(kept),
        }
    }

    /// It was not called, for this cause.
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(in crate::fallback) fn not_called(cause: Box<Cause>, kept: K) -> Self {
        Self {
            state: State::NotCalled(Some(cause)),
            kept: Some(kept),
        }
    }
}

impl<F, K, Req, Res, E, J, Q, W> Run<Req, J, Q, W> for PrimaryRun<F, K>
where
    F: Future<Output = Result<Res, E>>,
    J: Judge<Res, E>,
    Q: Requests<Req, Kept = K>,
    W: Watch,
{
    const TIERS: usize = 0;
    type End = End<Res, E, J::Neutral, Q::Stuck, Spent<Res, E, Infallible, K>>;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn poll_run(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        judge: &J,
        _: &Q,
        watch: &mut W,
    ) -> Poll<Self::End> {
        let mut this = self.project();
        let (outcome, cause, elapsed) = match this.state.as_mut().project() {
            Project::Called(future) => match future.poll(cx) {
                Poll::Ready(Ok(response)) => match judge.answer(&response) {
                    None => return Poll::Ready(End::Answer(response)),
                    Some(cause) => (
                        Outcome::Answer(response),
                        watch.trusted(cause),
                        watch.elapsed(),
                    ),
                },
                Poll::Ready(Err(error)) => match judge.error(&error) {
                    Err(neutral) => return Poll::Ready(End::Neutral(neutral, error)),
                    Ok(cause) => (
                        Outcome::Primary(error),
                        watch.trusted(cause),
                        watch.elapsed(),
                    ),
                },
                Poll::Pending if watch.is_late(cx) => (
                    Outcome::Nothing,
                    Cause::no_answer_in_time(),
                    watch.elapsed(),
                ),
                Poll::Pending => return Poll::Pending,
            },
            Project::NotCalled(cause) => {
                let (Some(cause), Some(kept)) = (cause.take(), this.kept.take()) else {
                    return Poll::Pending;
                };
                let spent = spent(Outcome::Nothing, *cause, kept, None);
                return Poll::Ready(End::Failed(spent));
            }
        };
        this.state.set(State::NotCalled(None));
        match this.kept.take() {
            Some(kept) => Poll::Ready(End::Failed(spent(outcome, cause, kept, elapsed))),
            None => Poll::Pending,
        }
    }
}

#[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
#[inline(always)]
fn spent<Res, E, K>(
    outcome: Outcome<Res, E, Infallible>,
    cause: Cause,
    kept: K,
    elapsed: Option<Duration>,
) -> Spent<Res, E, Infallible, K> {
    Spent {
        outcome,
        history: History::new(Failure::new(PRIMARY, cause, elapsed)),
        kept,
    }
}

impl<F, K> fmt::Debug for PrimaryRun<F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the primary")
    }
}
