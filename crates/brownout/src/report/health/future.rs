//! The future of a service with health paths.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project::pin_project;
use tower_service::Service;

use crate::http::LocalBody;

use super::answer::Answer;

/// The response of a [`Health`](super::Health) service.
#[pin_project]
pub struct HealthFuture<S, B, F> {
    #[pin]
    state: State<S, B, F>,
}

#[pin_project(project = Project)]
enum State<S, B, F> {
    Calling(#[pin] F),
    /// For an inner service that was not ready. Boxed, because calls that don't wait would have to move it; `None` only
    /// after a panic in the service.
    Waiting(Option<Box<(S, Request<B>)>>),
    /// `None` once it was given.
    Own(Option<Answer>),
}

impl<S, B, F> HealthFuture<S, B, F> {
    #[inline]
    pub(super) const fn calling(future: F) -> Self {
        Self {
            state: State::Calling(future),
        }
    }

    #[cold]
    pub(super) fn waiting(service: S, request: Request<B>) -> Self {
        Self {
            state: State::Waiting(Some(Box::new((service, request)))),
        }
    }

    #[cold]
    pub(super) const fn own(answer: Answer) -> Self {
        Self {
            state: State::Own(Some(answer)),
        }
    }
}

impl<S, B, ResBody> Future for HealthFuture<S, B, S::Future>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Output = Result<Response<LocalBody<ResBody>>, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                Project::Calling(future) => {
                    let answer = ready!(future.poll(cx));
                    return Poll::Ready(answer.map(|response| response.map(LocalBody::Inner)));
                }
                Project::Waiting(slot) => {
                    let Some(mut waiting) = slot.take() else {
                        return Poll::Pending;
                    };
                    match waiting.0.poll_ready(cx) {
                        Poll::Pending => {
                            *slot = Some(waiting);
                            return Poll::Pending;
                        }
                        Poll::Ready(ready) => ready?,
                    }
                    let (mut service, request) = *waiting;
                    let future = service.call(request);
                    state.set(State::Calling(future));
                }
                Project::Own(answer) => {
                    return match answer.take() {
                        Some(answer) => Poll::Ready(Ok(answer.into_response())),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }
}

impl<S, B, F> fmt::Debug for HealthFuture<S, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits_for = match &self.state {
            State::Calling(_) => "answer",
            State::Waiting(_) => "readiness",
            State::Own(_) => "nothing",
        };
        f.debug_struct("HealthFuture")
            .field("waits_for", &waits_for)
            .finish()
    }
}
