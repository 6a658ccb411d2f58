//! The future of the replay service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, request::Parts};
use http_body::Body;
use pin_project::pin_project;
use tower_service::Service;

use super::{body::ReplayBody, gathering::Gathering};

/// The response of a [`Replay`](super::Replay).
///
/// Dropping it while the body is read drops the body and the service instance, which has not been called; dropping it
/// later drops the call.
#[pin_project]
pub struct ResponseFuture<S, B: Body, F> {
    #[pin]
    state: State<S, B, F>,
}

#[pin_project(project = Project)]
enum State<S, B: Body, F> {
    /// `None` only after the service has panicked when it was called.
    /// Boxed, because it is larger than most services' futures, and calls that don't wait would have to move it.
    Gathering(Option<Box<Waiting<S, B>>>),
    Calling(#[pin] F),
}

/// What waits for its body.
struct Waiting<S, B: Body> {
    /// The instance that was ready when the request came.
    service: S,
    head: Parts,
    body: Pin<Box<Gathering<B>>>,
}

impl<S, B: Body, F> ResponseFuture<S, B, F> {
    #[inline]
    pub(super) fn calling(future: F) -> Self {
        Self {
            state: State::Calling(future),
        }
    }

    pub(super) fn gathering(service: S, head: Parts, body: Gathering<B>) -> Self {
        Self {
            state: State::Gathering(Some(Box::new(Waiting {
                service,
                head,
                // In a box of its own: a body that was polled cannot move, and may have to go on into the request.
                body: Box::pin(body),
            }))),
        }
    }
}

impl<S, B> Future for ResponseFuture<S, B, S::Future>
where
    S: Service<Request<ReplayBody<B>>>,
    B: Body,
{
    type Output = Result<S::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                Project::Calling(future) => return future.poll(cx),
                Project::Gathering(waiting) => match poll_request(waiting, cx) {
                    Poll::Ready((mut service, request)) => {
                        let future = service.call(request);
                        state.set(State::Calling(future));
                    }
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }
}

/// The instance to be called and the request for it, once its body is there.
fn poll_request<S, B: Body>(
    waiting: &mut Option<Box<Waiting<S, B>>>,
    cx: &mut Context<'_>,
) -> Poll<(S, Request<ReplayBody<B>>)> {
    let mut whole = None;
    let over = waiting.take_if(|waiting| match waiting.body.as_mut().poll_whole(cx) {
        Poll::Ready(kept) => {
            whole = kept;
            true
        }
        Poll::Pending => false,
    });
    let Some(over) = over else {
        return Poll::Pending;
    };
    let Waiting {
        service,
        head,
        body,
    } = *over;
    let body = match whole {
        Some(kept) => ReplayBody::whole(kept),
        None => ReplayBody::interrupted(body),
    };
    Poll::Ready((service, Request::from_parts(head, body)))
}

impl<S, B: Body, F> fmt::Debug for ResponseFuture<S, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits_for = match &self.state {
            State::Gathering(_) => "body",
            State::Calling(_) => "answer",
        };
        f.debug_struct("ResponseFuture")
            .field("waits_for", &waits_for)
            .finish()
    }
}
