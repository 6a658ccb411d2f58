use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project::pin_project;
use tower_service::Service;

/// What answers in the place of a service whose flag has stepped back, if anything does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in for a service that answers `{Res}` or fails with `{E}` to `{Req}`",
    note = "a service that stands in answers and fails with the same types as the one behind the flag, and is `Clone`"
)]
pub trait Standby<Req, Res, E> {
    /// Its answer to come.
    type Future: Future<Output = Result<Res, E>>;

    /// Begins, unless there is nobody.
    fn answer(&self, request: Req) -> Option<Self::Future>;
}

/// Nobody stands in: calls are refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody(pub(super) ());

impl<Req, Res, E> Standby<Req, Res, E> for Nobody {
    type Future = std::future::Pending<Result<Res, E>>;

    #[inline]
    fn answer(&self, _: Req) -> Option<Self::Future> {
        None
    }
}

/// A service stands in. A clone of it is made for each call that needs it, waited for, and called.
#[derive(Clone, Debug)]
pub struct Instead<S>(pub(super) S);

impl<S, Req, Res, E> Standby<Req, Res, E> for Instead<S>
where
    S: Service<Req, Response = Res, Error = E> + Clone,
{
    type Future = Oneshot<S, Req>;

    #[inline]
    fn answer(&self, request: Req) -> Option<Oneshot<S, Req>> {
        Some(Oneshot::Waiting(self.0.clone(), Some(request)))
    }
}

/// Waits for a service, then for its answer.
#[pin_project(project = OneshotProject)]
pub enum Oneshot<S: Service<Req>, Req> {
    /// The service is not ready yet.
    Waiting(S, Option<Req>),
    /// It was called.
    Called(#[pin] S::Future),
}

impl<S: Service<Req>, Req> Future for Oneshot<S, Req> {
    type Output = Result<S::Response, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let future = match self.as_mut().project() {
                OneshotProject::Called(future) => return future.poll(cx),
                OneshotProject::Waiting(service, request) => {
                    ready!(service.poll_ready(cx))?;
                    // Whoever polls on after a panic of `call` waits for ever, as with any future that has panicked.
                    let Some(request) = request.take() else {
                        return Poll::Pending;
                    };
                    service.call(request)
                }
            };
            self.set(Self::Called(future));
        }
    }
}

impl<S: Service<Req>, Req> fmt::Debug for Oneshot<S, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting(..) => "Waiting",
            Self::Called(_) => "Called",
        })
    }
}
