//! The future of an aggregate.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project::pin_project;
use tower_service::Service;

use crate::core::Reject;

use super::{
    failed::{FailedParts, RequiredPart},
    form::{Compose, Held, MarkPartial},
    gathering::Gathering,
    list::Run,
};

pub use super::{list::AndRun, many::ManyRun, part::PartRun};

/// The response of an [`Aggregate`](super::Aggregate).
///
/// It asks the parts, then the service that composes the answer, all of them in the caller's task. Dropping it drops
/// whoever is being asked; nothing goes on behind it. A panic of a part makes the part missing, one of the composing
/// service goes on to the caller.
///
/// How the composing service is called is kept as a function, for the reason that [`Fitted`](super::pieces::Fitted) gives.
#[pin_project]
pub struct ResponseFuture<R, H, S, Q, Fut, F, X> {
    #[pin]
    stage: Stage<R, H, S, Fut>,
    call: fn(&mut S, Q) -> Fut,
    form: F,
    reject: X,
}

#[pin_project(project = StageProject)]
enum Stage<R, H, S, Fut> {
    Gathering {
        #[pin]
        gathering: Gathering<R>,
        /// The request and the service that was ready for it, until they are used.
        held: Option<(H, S)>,
    },
    Composing {
        #[pin]
        future: Fut,
        failed: FailedParts,
    },
    Ended,
}

impl<R, H, S, Q, Fut, F, X> ResponseFuture<R, H, S, Q, Fut, F, X> {
    #[allow(
        clippy::inline_always,
        reason = "measured: built where it is used, and not moved"
    )]
    #[inline(always)]
    pub(super) fn new(gathering: Gathering<R>, held: H, ready: S, form: F, reject: X) -> Self
    where
        S: Service<Q, Future = Fut>,
    {
        let held = Some((held, ready));
        Self {
            stage: Stage::Gathering { gathering, held },
            call: S::call,
            form,
            reject,
        }
    }
}

impl<R, H, S, Q, Fut, F, X, Res, E> Future for ResponseFuture<R, H, S, Q, Fut, F, X>
where
    H: Held,
    R: Run<H::Seen>,
    F: Compose<H, R::Slots, Request = Q> + MarkPartial<Res>,
    Fut: Future<Output = Result<Res, E>>,
    X: Reject<Res, E, RequiredPart>,
{
    type Output = Result<X::Response, X::Error>;

    #[allow(clippy::inline_always, reason = "see `new`")]
    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut this = self.as_mut().project();
            let (future, failed) = match this.stage.as_mut().project() {
                StageProject::Gathering { gathering, held } => {
                    // Without one, the future has panicked before and is polled again: it waits for ever.
                    let Some((request, _)) = held else {
                        return Poll::Pending;
                    };
                    match ready!(gathering.poll(cx, request.seen())) {
                        Ok((slots, failed)) => {
                            let Some((request, mut service)) = held.take() else {
                                return Poll::Pending;
                            };
                            let Some(request) = this.form.compose(request, slots, failed.clone())
                            else {
                                return Poll::Pending;
                            };
                            ((this.call)(&mut service, request), failed)
                        }
                        Err(missing) => {
                            // Whoever still runs is dropped now, and not when the caller drops this future.
                            this.stage.set(Stage::Ended);
                            return Poll::Ready(this.reject.reject(missing));
                        }
                    }
                }
                StageProject::Composing { future, failed } => {
                    return match ready!(future.poll(cx)) {
                        Ok(mut response) => {
                            if failed.is_partial() {
                                this.form.mark(&mut response, failed);
                            }
                            Poll::Ready(Ok(this.reject.answer(response)))
                        }
                        Err(error) => Poll::Ready(Err(this.reject.fail(error))),
                    };
                }
                StageProject::Ended => return Poll::Pending,
            };
            this.stage.set(Stage::Composing { future, failed });
        }
    }
}

impl<R: fmt::Debug, H, S, Q, Fut, F, X> fmt::Debug for ResponseFuture<R, H, S, Q, Fut, F, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stage {
            Stage::Gathering { gathering, .. } => gathering.fmt(f),
            Stage::Composing { .. } => f.write_str("Composing"),
            Stage::Ended => f.write_str("Ended"),
        }
    }
}
