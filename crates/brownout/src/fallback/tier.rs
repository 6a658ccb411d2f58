use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project::pin_project;
use tower_service::Service;

use super::failed::Failed;
use crate::core::oneshot::{Asking, NoAnswer};

/// A named tier: a service that answers when those before it could not.
///
/// It gets the request as the primary got it. As a service it may have its own layers: a breaker, a limit, another
/// fallback.
#[derive(Clone)]
pub struct Tier<S> {
    pub(super) name: &'static str,
    pub(super) timeout: Option<Duration>,
    pub(super) service: S,
}

impl<S> Tier<S> {
    /// A tier of that name. It appears in marks, which strangers may see, in events and in logs.
    pub const fn new(name: &'static str, service: S) -> Self {
        Self {
            name,
            timeout: None,
            service,
        }
    }

    /// The longest that this tier may take, its readiness included; without one, only the chain's deadline bounds it.
    /// Between a millisecond and a year.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl<S> fmt::Debug for Tier<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier")
            .field("name", &self.name)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Something that can answer in the primary's place: a service, or a closure.
#[diagnostic::on_unimplemented(
    message = "this tier does not answer `{Req}`",
    note = "a tier is a cloneable service of the chain's requests, or a closure `|failed: Failed<{Req}>| async {{ Ok::<_, _>(…) }}`; the last one answers without a `Result`"
)]
pub trait Attempt<Req> {
    /// Its answer.
    type Response;
    /// Why it did not answer.
    type Error;
    /// Its answer to come.
    type Future: Future<Output = Result<Self::Response, NoAnswer<Self::Error>>>;

    /// The longest that it may take.
    fn timeout(&self) -> Option<Duration> {
        None
    }

    /// Begins.
    fn attempt(self, failed: Failed<Req>) -> Self::Future;
}

/// A service as a tier.
#[derive(Clone, Debug)]
pub struct ServiceTier<S> {
    service: S,
    timeout: Option<Duration>,
}

impl<S> ServiceTier<S> {
    pub(super) fn of(tier: Tier<S>) -> Self {
        Self {
            service: tier.service,
            timeout: tier.timeout,
        }
    }
}

impl<S, Req> Attempt<Req> for ServiceTier<S>
where
    S: Service<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Asking<S, Req, S::Future>;

    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn attempt(self, failed: Failed<Req>) -> Self::Future {
        Asking::new(self.service, failed.request)
    }
}

/// A closure as a tier, which answers or fails.
#[derive(Clone, Copy)]
pub struct FnTier<F>(pub(super) F);

impl<F, Fut, Req, Res, E> Attempt<Req> for FnTier<F>
where
    F: Fn(Failed<Req>) -> Fut,
    Fut: Future<Output = Result<Res, E>>,
{
    type Response = Res;
    type Error = E;
    type Future = Trying<Fut>;

    fn attempt(self, failed: Failed<Req>) -> Trying<Fut> {
        Trying((self.0)(failed))
    }
}

/// A closure as the last tier, which always answers.
#[derive(Clone, Copy)]
pub struct LastTier<F>(pub(super) F);

impl<F, Fut, Req> Attempt<Req> for LastTier<F>
where
    F: Fn(Failed<Req>) -> Fut,
    Fut: Future,
{
    type Response = Fut::Output;
    type Error = Infallible;
    type Future = Answering<Fut>;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn attempt(self, failed: Failed<Req>) -> Answering<Fut> {
        Answering((self.0)(failed))
    }
}

/// The future of a closure that may fail.
#[derive(Debug)]
#[pin_project]
pub struct Trying<Fut>(#[pin] Fut);

impl<Fut: Future<Output = Result<Res, E>>, Res, E> Future for Trying<Fut> {
    type Output = Result<Res, NoAnswer<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().0.poll(cx).map_err(NoAnswer::Failed)
    }
}

/// The future of a closure that always answers.
#[derive(Debug)]
#[pin_project]
pub struct Answering<Fut>(#[pin] Fut);

impl<Fut: Future> Future for Answering<Fut> {
    type Output = Result<Fut::Output, NoAnswer<Infallible>>;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().0.poll(cx).map(Ok)
    }
}

impl<F> fmt::Debug for FnTier<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnTier")
    }
}

impl<F> fmt::Debug for LastTier<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastTier")
    }
}
