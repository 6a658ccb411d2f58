//! A call of a service that is called once: by whoever has a clone of it for that.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project::pin_project;
use tower_service::Service;

/// Waits for a service, calls it once, and waits for its answer: tower's `oneshot`, which handlers and spawned tasks may
/// await whatever the types of their services are.
///
/// Async code that has to be `Send` may not await tower's own over services whose *types* spell a
/// [`BoxError`](crate::core::BoxError): where one is an argument of another type, as in
/// `BoxCloneSyncService<_, _, BoxError>`, or a closure takes or returns one. The compiler calls that a *higher-ranked
/// lifetime error*, says that an *implementation of `From`* (of `FnOnce`) *is not general enough*, or that *one type is
/// more general than the other*. Over clients with types of their own, and over `async fn`s, either will do.
///
/// ```
/// # use std::time::Duration;
/// # use tower::{BoxError, service_fn, timeout::Timeout, util::BoxCloneSyncService};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let client: BoxCloneSyncService<u32, u32, BoxError> = BoxCloneSyncService::new(service_fn(|n| async move { Ok(2 * n) }));
/// let client = Timeout::new(client, Duration::from_secs(1));
/// // Does not compile with `client.oneshot(21)` in it.
/// let handler = async move { brownout::core::oneshot(client, 21).await };
/// assert_eq!(tokio::spawn(handler).await??, 42);
/// # Ok(()) }
/// ```
///
/// It costs what tower's does. [`Fallback`](crate::fallback::Fallback::oneshot) and
/// [`Flagged`](crate::flag::Flagged::oneshot) have it as a method, which goes before tower's.
///
/// # Why
///
/// What async code holds while it waits has to be `Send`. For that check the compiler forgets lifetimes, the `'static` of
/// `dyn Error + 'static` too, and takes each for any ([rust-lang/rust#110338]). Tower's future names only the service; to
/// see what future that has, the compiler asks once more whether it is a service, now one with errors of every lifetime.
/// One that looks into its errors is not, nor one that passes on those of two services alike. The future here names both,
/// and nothing is asked again.
///
/// `join!` and `join_all` ask again, for the output that they keep: give them an `async` block around each call. The
/// futures of tower's `Retry` and `AsyncFilter` ask about what is below them; where that fails, the whole service goes
/// into a `BoxCloneSyncService`.
///
/// [rust-lang/rust#110338]: https://github.com/rust-lang/rust/issues/110338
#[inline]
pub const fn oneshot<S: Service<Req>, Req>(service: S, request: Req) -> Oneshot<S, Req, S::Future> {
    Oneshot(Asking::new(service, request))
}

/// A call that waits for its service first: what [`oneshot()`] gives. `F` is the service's future.
#[pin_project]
#[must_use = "futures do nothing unless polled"]
pub struct Oneshot<S, Req, F>(#[pin] Asking<S, Req, F>);

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer<E> {
    /// The service's readiness failed; it was not called.
    NotReady(E),
    /// Its call failed.
    Failed(E),
}

/// Waits for a service that is a tier, then for its answer.
// The service's future is a parameter, for the reason that `oneshot` gives.
#[pin_project]
pub struct Asking<S, Req, F>(#[pin] State<S, Req, F>);

#[pin_project(project = StateProject)]
enum State<S, Req, F> {
    /// The service is not ready yet.
    Waiting(S, Option<Req>),
    /// It was called.
    Called(#[pin] F),
}

impl<S, Req, F> Asking<S, Req, F> {
    #[inline]
    pub(crate) const fn new(service: S, request: Req) -> Self {
        Self(State::Waiting(service, Some(request)))
    }
}

impl<E> NoAnswer<E> {
    /// The error, whichever it is.
    fn into_error(self) -> E {
        match self {
            Self::NotReady(error) | Self::Failed(error) => error,
        }
    }
}

impl<S: Service<Req>, Req> Future for Asking<S, Req, S::Future> {
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

impl<S: Service<Req>, Req> Future for Oneshot<S, Req, S::Future> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().0.poll(cx).map_err(NoAnswer::into_error)
    }
}

impl<S, Req, F> fmt::Debug for Oneshot<S, Req, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Oneshot").field(&self.0).finish()
    }
}

impl<S, Req, F> fmt::Debug for Asking<S, Req, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Waiting(..) => "Waiting",
            State::Called(_) => "Called",
        })
    }
}
