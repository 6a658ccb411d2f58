use std::{
    mem,
    task::{Context, Poll},
};

use http::Request;
use http_body::Body;
use tower_service::Service;

use super::{body::ReplayBody, future::ResponseFuture, gathering::Gathering, layer::Choice};

/// A service whose requests have bodies that can be made again, where they are small. Made by
/// [`ReplayLayer`](super::ReplayLayer).
///
/// It is ready when its inner service is. A clone copies no readiness.
#[derive(Clone, Debug)]
pub struct Replay<S> {
    inner: S,
    choice: Choice,
}

impl<S> Replay<S> {
    pub(super) const fn new(inner: S, choice: Choice) -> Self {
        Self { inner, choice }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the layer off.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B> Service<Request<B>> for Replay<S>
where
    S: Service<Request<ReplayBody<B>>> + Clone,
    B: Body,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let body = request.body();
        if body.is_end_stream() {
            let request = request.map(|_| ReplayBody::empty());
            return ResponseFuture::calling(self.inner.call(request));
        }
        let Some(bound) = self.choice.bound(body.size_hint()) else {
            let request = request.map(ReplayBody::passing);
            return ResponseFuture::calling(self.inner.call(request));
        };
        // The instance that was made ready goes with the request; the clone it leaves has yet to be asked.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        let (head, body) = request.into_parts();
        ResponseFuture::gathering(ready, head, Gathering::new(body, bound))
    }
}
