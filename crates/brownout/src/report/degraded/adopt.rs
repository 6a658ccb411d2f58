use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::core::collector;

use super::{
    parse,
    wire::{DEGRADED, LONGEST},
};

/// Trusts what an upstream says of its own answers, and says it of ours.
///
/// Goes onto an HTTP or gRPC client. The members of the `Degraded` header in the head of its answers are added to the
/// marks of the current request, as if a layer here had made them. Without it they are heeded by nobody.
///
/// It is for upstreams of one's own house: what they say there, one's own callers will read. Names are cut down to
/// 128 bytes; a line of the header that is no list of RFC 9651 is ignored, and so is what comes after the first kibibyte
/// or the sixteenth mark.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdoptDegradedLayer(());

impl AdoptDegradedLayer {
    /// The layer; it has no settings.
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for AdoptDegradedLayer {
    type Service = AdoptDegraded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AdoptDegraded { inner }
    }
}

/// A client whose answers' marks are adopted. Made by [`AdoptDegradedLayer`].
#[derive(Clone, Debug)]
pub struct AdoptDegraded<S> {
    inner: S,
}

impl<S> AdoptDegraded<S> {
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

impl<S, B, ResBody> Service<Request<B>> for AdoptDegraded<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = AdoptFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        AdoptFuture {
            future: self.inner.call(request),
        }
    }
}

/// The response of an [`AdoptDegraded`](super::super::AdoptDegraded) client.
#[pin_project]
pub struct AdoptFuture<F> {
    #[pin]
    future: F,
}

impl<F, B, E> Future for AdoptFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.project().future.poll(cx));
        if let Ok(response) = &outcome
            && response.headers().contains_key(&DEGRADED)
        {
            adopt(response);
        }
        Poll::Ready(outcome)
    }
}

#[cold]
fn adopt<B>(response: &Response<B>) {
    if !collector::is_collecting() {
        return;
    }
    let lines = response.headers().get_all(&DEGRADED).iter();
    let mut room = LONGEST;
    for line in lines {
        let Some(rest) = room.checked_sub(line.len()) else {
            return;
        };
        room = rest;
        let text = line.to_str().ok();
        for mark in text.and_then(parse::marks).unwrap_or_default() {
            collector::collect(&mark);
        }
    }
}

impl<F: fmt::Debug> fmt::Debug for AdoptFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdoptFuture")
            .field("future", &self.future)
            .finish()
    }
}
