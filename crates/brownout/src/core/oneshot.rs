//! A call of a service that is called once: by whoever has a clone of it for that.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project::pin_project;
use tower_service::Service;

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer<E> {
    /// The service's readiness failed; it was not called.
    NotReady(E),
    /// Its call failed.
    Failed(E),
}

/// Waits for a service, then for its answer.
#[pin_project]
pub struct Oneshot<S: Service<Req>, Req>(#[pin] State<S, Req>);

#[pin_project(project = StateProject)]
enum State<S: Service<Req>, Req> {
    /// The service is not ready yet.
    Waiting(S, Option<Req>),
    /// It was called.
    Called(#[pin] S::Future),
}

impl<S: Service<Req>, Req> Oneshot<S, Req> {
    #[inline]
    pub(crate) const fn new(service: S, request: Req) -> Self {
        Self(State::Waiting(service, Some(request)))
    }
}

impl<E> NoAnswer<E> {
    /// The error, whichever it is.
    pub(crate) fn into_error(self) -> E {
        match self {
            Self::NotReady(error) | Self::Failed(error) => error,
        }
    }
}

impl<S: Service<Req>, Req> Future for Oneshot<S, Req> {
    type Output = Result<S::Response, NoAnswer<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().0;
        loop {
            let future = match state.as_mut().project() {
                StateProject::Called(future) => return future.poll(cx).map_err(NoAnswer::Failed),
                StateProject::Waiting(service, request) => {
                    ready!(service.poll_ready(cx)).map_err(NoAnswer::NotReady)?;
                    // Whoever polls on after a panic of `call` waits for ever, as with any future that has panicked.
                    let Some(request) = request.take() else {
                        return Poll::Pending;
                    };
                    service.call(request)
                }
            };
            state.set(State::Called(future));
        }
    }
}

impl<S: Service<Req>, Req> fmt::Debug for Oneshot<S, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Waiting(..) => "Waiting",
            State::Called(_) => "Called",
        })
    }
}
