//! Services, futures and bodies with one capability less, so that a bound nobody needs doesn't compile.

use std::cell::Cell;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use tower_service::Service;

/// A service, future or body with the capabilities of the mark `M` at most.
///
/// You write one of its names: [`NotSend`], [`NotSync`] or [`Borrowing`].
#[pin_project]
#[derive(Debug)]
pub struct Marked<T, M> {
    #[pin]
    inner: T,
    mark: PhantomData<M>,
}

/// Takes `Send` (and `Sync`) from a service and its futures, or from a body.
///
/// # Examples
///
/// ```
/// use brownout_testing::{NotSend, ProbeService, TestError};
/// use tower::{ServiceExt, limit::ConcurrencyLimit};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (service, _probe) = ProbeService::new(|n: u32| Ok::<_, TestError>(n));
/// // Compiles: the limit asks for no `Send`.
/// assert_eq!(ConcurrencyLimit::new(NotSend::new(service), 1).oneshot(3).await, Ok(3));
/// # }
/// ```
///
/// ```compile_fail
/// # use brownout_testing::{NotSend, ProbeService, TestError};
/// fn needs_send<T: Send>(_: T) {}
/// needs_send(NotSend::new(ProbeService::new(|n: u32| Ok::<_, TestError>(n)).0));
/// ```
pub type NotSend<T> = Marked<T, Rc<()>>;

/// Takes `Sync` from a service and its futures, or from a body, and leaves `Send`.
///
/// # Examples
///
/// ```
/// # use brownout_testing::{NotSync, ProbeService, TestError};
/// fn needs_send<T: Send>(_: T) {}
/// needs_send(NotSync::new(ProbeService::new(|n: u32| Ok::<_, TestError>(n)).0));
/// ```
///
/// ```compile_fail
/// # use brownout_testing::{NotSync, ProbeService, TestError};
/// fn needs_sync<T: Sync>(_: T) {}
/// needs_sync(NotSync::new(ProbeService::new(|n: u32| Ok::<_, TestError>(n)).0));
/// ```
pub type NotSync<T> = Marked<T, Cell<()>>;

/// Takes `'static` from a service and its futures, or from a body: it borrows from something that lives for `'a`.
///
/// # Examples
///
/// ```
/// use brownout_testing::{ProbeService, TestError, probe_service::Borrowing};
/// use tower::{ServiceExt, limit::ConcurrencyLimit};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let owner = String::from("lives as long as this function");
/// let (service, _probe) = ProbeService::new(|n: u32| Ok::<_, TestError>(n));
/// let borrowing = Borrowing::from(&owner, service);
/// assert_eq!(ConcurrencyLimit::new(borrowing, 1).oneshot(3).await, Ok(3));
/// # }
/// ```
pub type Borrowing<'a, T> = Marked<T, &'a ()>;

/// Takes `Clone` from a service or a body.
///
/// # Examples
///
/// ```compile_fail
/// # use brownout_testing::{NotClone, ProbeService, TestError};
/// let _ = NotClone::new(ProbeService::new(|n: u32| Ok::<_, TestError>(n)).0).clone();
/// ```
#[pin_project]
#[derive(Debug)]
pub struct NotClone<T> {
    #[pin]
    inner: T,
}

impl<T> NotSend<T> {
    /// Wraps it.
    pub const fn new(inner: T) -> Self {
        Self::wrap(inner)
    }
}

impl<T> NotSync<T> {
    /// Wraps it.
    pub const fn new(inner: T) -> Self {
        Self::wrap(inner)
    }
}

impl<'a, T> Borrowing<'a, T> {
    /// Wraps it, so that it lives no longer than `owner` is borrowed.
    pub const fn from<O: ?Sized>(_owner: &'a O, inner: T) -> Self {
        Self::wrap(inner)
    }
}

impl<T, M> Marked<T, M> {
    const fn wrap(inner: T) -> Self {
        Self {
            inner,
            mark: PhantomData,
        }
    }

    /// What is inside.
    pub const fn get_ref(&self) -> &T {
        &self.inner
    }

    /// What is inside, to change it.
    pub const fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Takes the wrapper off.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: Clone, M> Clone for Marked<T, M> {
    fn clone(&self) -> Self {
        Self::wrap(self.inner.clone())
    }
}

impl<T> NotClone<T> {
    /// Wraps it.
    pub const fn new(inner: T) -> Self {
        Self { inner }
    }

    /// What is inside.
    pub const fn get_ref(&self) -> &T {
        &self.inner
    }

    /// What is inside, to change it.
    pub const fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Takes the wrapper off.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: Service<Req>, M, Req> Service<Req> for Marked<T, M> {
    type Response = T::Response;
    type Error = T::Error;
    type Future = Marked<T::Future, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        Marked::wrap(self.inner.call(request))
    }
}

impl<T: Service<Req>, Req> Service<Req> for NotClone<T> {
    type Response = T::Response;
    type Error = T::Error;
    type Future = T::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), T::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        self.inner.call(request)
    }
}

impl<T: Future, M> Future for Marked<T, M> {
    type Output = T::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        self.project().inner.poll(cx)
    }
}

impl<T: Body, M> Body for Marked<T, M> {
    type Data = T::Data;
    type Error = T::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<T::Data>, T::Error>>> {
        self.project().inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<T: Body> Body for NotClone<T> {
    type Data = T::Data;
    type Error = T::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<T::Data>, T::Error>>> {
        self.project().inner.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
