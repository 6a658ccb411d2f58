use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use crate::core::collector::Slot;

use super::{body::DegradedBody, future::DegradedFuture, wire};

/// A service that says what is missing from its answers. Made by [`DegradedLayer`](super::DegradedLayer).
///
/// It is ready when its inner service is. Dropping its future, or the body of the answer, drops the inner one's and
/// what was collected.
#[derive(Clone, Debug)]
pub struct DegradedMarks<S> {
    inner: S,
}

impl<S> DegradedMarks<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, mutably.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the layer off.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, ResBody> Service<Request<B>> for DegradedMarks<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Response = Response<DegradedBody<ResBody>>;
    type Error = S::Error;
    type Future = DegradedFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Whoever asks cannot know what will be missing; a handler that forwards headers must not spread it.
        wire::strip(request.headers_mut());
        let mut slot = Slot::Open;
        let current = slot.enter();
        let future = self.inner.call(request);
        drop(current);
        DegradedFuture::new(future, slot)
    }
}
