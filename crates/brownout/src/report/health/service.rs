use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use crate::http::LocalBody;

use super::{future::HealthFuture, state::State};

/// A service that answers the health paths itself. Made by [`HealthLayer`](super::HealthLayer).
///
/// It is ready even while its inner service is not, for whoever asks whether an overloaded process lives must be told
/// that it does. Other requests then wait within their call for the inner service, on the instance that was asked. A
/// readiness error of the inner service is passed on. A clone copies no readiness.
pub struct Health<S> {
    inner: S,
    state: Arc<State>,
    inner_is_ready: bool,
}

impl<S> Health<S> {
    pub(super) const fn new(inner: S, state: Arc<State>) -> Self {
        Self {
            inner,
            state,
            inner_is_ready: false,
        }
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

impl<S, B, ResBody> Service<Request<B>> for Health<S>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone,
{
    type Response = Response<LocalBody<ResBody>>;
    type Error = S::Error;
    type Future = HealthFuture<S, B, S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner_is_ready = false;
        if let Poll::Ready(ready) = self.inner.poll_ready(cx) {
            ready?;
            self.inner_is_ready = true;
        }
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner_is_ready = mem::take(&mut self.inner_is_ready);
        if let Some(endpoint) = self.state.paths.find(request.uri().path()) {
            // The instance stays ready, and whoever is asked next finds it so.
            let (head, _) = request.into_parts();
            return HealthFuture::own(self.state.answer(endpoint, &head));
        }
        if inner_is_ready {
            return HealthFuture::calling(self.inner.call(request));
        }
        // The instance that was asked keeps its place among those who wait; the clone it leaves has yet to be asked.
        let clone = self.inner.clone();
        HealthFuture::waiting(mem::replace(&mut self.inner, clone), request)
    }
}

impl<S: Clone> Clone for Health<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.state))
    }
}

impl<S: fmt::Debug> fmt::Debug for Health<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("inner", &self.inner)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
