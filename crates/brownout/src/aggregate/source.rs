//! A part's service, how it is asked, how its errors are read, and what stands in for it.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project::pin_project;
use tower_service::Service;

use crate::core::Cause;

use super::ask::{Ask, ByDisplay, Explain, Nothing, StandIn, Whole};

/// A part's service, as it was given.
#[derive(Clone)]
pub struct Given<S, A = Whole, E = ByDisplay, O = Nothing> {
    pub(super) service: S,
    pub(super) ask: A,
    pub(super) explain: E,
    pub(super) or: O,
}

/// A part's service that is known to answer `V` where parts see a `Seen`.
///
/// How it is polled is found out where the part is configured, and kept as a function. So nothing is asked of the types
/// where the part is called: inside an async function the compiler has forgotten what it knew of lifetimes, and could
/// prove neither that a boxed error is `'static` nor that two mentions of one future are the same type.
pub struct Fitted<S, A, E, O, Fut, V, Seen> {
    pub(super) given: Given<S, A, E, O>,
    pub(super) poll: PollFn<S, A, E, Fut, V, Seen>,
}

/// Polls a part's service: for readiness, then for the answer to what is asked of it.
pub(super) type PollFn<S, A, E, Fut, V, Seen> =
    fn(Pin<&mut Stage<S, Fut>>, &A, &E, &Seen, &mut Context<'_>) -> Poll<Result<V, Box<Cause>>>;

/// How far a part's service is.
#[pin_project(project = StageProject)]
pub(super) enum Stage<S, Fut> {
    /// It is not ready yet, or was not asked.
    Waiting(S),
    /// It was called.
    Called(#[pin] Fut),
    /// It has answered, or failed, or its time is over.
    Ended,
}

/// Parts as they were given, that fit what parts see.
#[diagnostic::on_unimplemented(
    message = "this part cannot be asked for a `{Seen}`",
    note = "a part is a `Service` of what `.asking(…)` makes of the `{Seen}`, or of a clone of it; its errors are `Display`, or `.causes(…)` says what they mean"
)]
pub trait Fit<Seen> {
    /// The same, known to fit.
    type Fitted;

    /// Makes them.
    fn fit(self) -> Self::Fitted;
}

impl<S> Given<S> {
    pub(super) const fn new(service: S) -> Self {
        Self {
            service,
            ask: Whole(()),
            explain: ByDisplay(()),
            or: Nothing(()),
        }
    }
}

impl<Seen, S, A, E, O> Fit<Seen> for Given<S, A, E, O>
where
    A: Ask<Seen>,
    S: Service<A::Request>,
    E: Explain<S::Error>,
    O: StandIn<S::Response>,
{
    type Fitted = Fitted<S, A, E, O, S::Future, S::Response, Seen>;

    fn fit(self) -> Self::Fitted {
        Fitted {
            given: self,
            poll: poll::<S, A, E, Seen>,
        }
    }
}

fn poll<S, A, E, Seen>(
    mut stage: Pin<&mut Stage<S, S::Future>>,
    ask: &A,
    explain: &E,
    seen: &Seen,
    cx: &mut Context<'_>,
) -> Poll<Result<S::Response, Box<Cause>>>
where
    A: Ask<Seen>,
    S: Service<A::Request>,
    E: Explain<S::Error>,
{
    loop {
        let future = match stage.as_mut().project() {
            StageProject::Waiting(service) => {
                if let Err(error) = ready!(service.poll_ready(cx)) {
                    let cause = Cause::not_ready(explain.explain(&error));
                    return Poll::Ready(Err(Box::new(cause)));
                }
                service.call(ask.ask(seen))
            }
            StageProject::Called(future) => {
                return future
                    .poll(cx)
                    .map_err(|error| Box::new(explain.explain(&error)));
            }
            StageProject::Ended => return Poll::Pending,
        };
        stage.set(Stage::Called(future));
    }
}

impl<S: Clone, A: Clone, E: Clone, O: Clone, Fut, V, Seen> Clone
    for Fitted<S, A, E, O, Fut, V, Seen>
{
    #[inline]
    fn clone(&self) -> Self {
        Self {
            given: self.given.clone(),
            poll: self.poll,
        }
    }
}

impl<S, A, E, O> fmt::Debug for Given<S, A, E, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").finish_non_exhaustive()
    }
}

impl<S, A, E, O, Fut, V, Seen> fmt::Debug for Fitted<S, A, E, O, Fut, V, Seen> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fitted").finish_non_exhaustive()
    }
}
