use std::{convert::Infallible, fmt};

use crate::core::{Cause, Classify, Verdict};

/// Says which answers and errors of the primary make a chain descend, and why.
pub trait Judge<Res, E> {
    /// Shows that an error is neutral; [`Infallible`] where none is.
    type Neutral;

    /// The cause, where an answer is a failure or a refusal by an inner layer; `None` where it stands.
    fn answer(&self, response: &Res) -> Option<Cause>;

    /// The cause, where an error is a failure or a refusal.
    ///
    /// # Errors
    ///
    /// Where the error is the caller's affair, and goes to the caller.
    fn error(&self, error: &E) -> Result<Cause, Self::Neutral>;

    /// The cause that an error is, whether or not it makes the chain descend.
    fn explain(&self, error: &E) -> Cause;

    /// Takes from an answer what would prove to those above that the call was not sent.
    fn disprove(&self, response: &mut Res);
}

/// Makes a [`Cause`] of an error.
pub trait Explain<E> {
    /// What the error says, and what it proves.
    fn explain(&self, error: &E) -> Cause;
}

/// Explains any error by its `Display`, and finds a refusal or a refused connection in what the error itself is: a
/// [`Rejected`](crate::core::Rejected), a [`std::io::Error`], or one of them in a box.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByDisplay(pub(super) ());

impl<E: fmt::Display + 'static> Explain<E> for ByDisplay {
    fn explain(&self, error: &E) -> Cause {
        Cause::of_error(error)
    }
}

/// Explains errors by a closure of `Fn(&E) -> Cause`.
#[derive(Clone, Copy)]
pub struct ByClosure<F>(pub(super) F);

impl<E, F: Fn(&E) -> Cause> Explain<E> for ByClosure<F> {
    #[inline]
    fn explain(&self, error: &E) -> Cause {
        (self.0)(error)
    }
}

impl<F> fmt::Debug for ByClosure<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByClosure")
    }
}

/// Judges calls by a classifier, whatever their protocol.
#[derive(Clone, Copy, Debug)]
pub struct Results<C, X> {
    pub(super) classify: C,
    pub(super) explain: X,
}

impl<Res, E, C, X> Judge<Res, E> for Results<C, X>
where
    C: Classify<Res, E>,
    X: Explain<E>,
{
    type Neutral = Neutral;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn answer(&self, response: &Res) -> Option<Cause> {
        self.classify
            .classify(Ok(response))
            .is_failure()
            .then(|| Cause::failed("its answer is a failure"))
    }

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn error(&self, error: &E) -> Result<Cause, Neutral> {
        failure(
            self.classify.classify(Err(error)),
            self.explain.explain(error),
        )
    }

    fn explain(&self, error: &E) -> Cause {
        self.explain.explain(error)
    }

    fn disprove(&self, _: &mut Res) {}
}

/// Judges HTTP and gRPC calls: a classifier's failures descend, and so does an answer by which an inner layer refused
/// the call (it carries a [`Rejected`](crate::core::Rejected) in its extensions).
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug)]
pub struct Responses<C, X> {
    pub(super) classify: C,
    pub(super) explain: X,
}

#[cfg(feature = "http")]
impl<B, E, C, X> Judge<http::Response<B>, E> for Responses<C, X>
where
    C: Classify<http::Response<B>, E>,
    X: Explain<E>,
{
    type Neutral = Neutral;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn answer(&self, response: &http::Response<B>) -> Option<Cause> {
        let verdict = self.classify.classify(Ok(response));
        if verdict == Verdict::Success {
            return None;
        }
        match response.extensions().get::<crate::core::Rejected>() {
            Some(refusal) => Some(Cause::rejected(refusal)),
            None => verdict
                .is_failure()
                .then(|| Cause::failed("its answer is a failure")),
        }
    }

    fn error(&self, error: &E) -> Result<Cause, Neutral> {
        failure(
            self.classify.classify(Err(error)),
            self.explain.explain(error),
        )
    }

    fn explain(&self, error: &E) -> Cause {
        self.explain.explain(error)
    }

    fn disprove(&self, response: &mut http::Response<B>) {
        response.extensions_mut().remove::<crate::core::Rejected>();
    }
}

/// Explains errors of a transport: as [`ByDisplay`] does, and a refused connection is found in any of a boxed error's
/// sources.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Transport(pub(super) ());

#[cfg(feature = "http")]
impl<E: fmt::Display + 'static> Explain<E> for Transport {
    fn explain(&self, error: &E) -> Cause {
        Cause::of_transport(error)
    }
}

/// Explains errors of a transport that are [`Error`](std::error::Error)s of their own: a refused connection is found in
/// any of their sources.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources(pub(super) ());

#[cfg(feature = "http")]
impl<E: std::error::Error + 'static> Explain<E> for Sources {
    fn explain(&self, error: &E) -> Cause {
        Cause::of_sources(error)
    }
}

/// An error that is the caller's affair.
#[derive(Clone, Copy, Debug)]
pub struct Neutral(());

/// Judges as `J` does, but every error descends: a chain that cannot fail has no way to hand one on.
#[derive(Clone, Copy, Debug)]
pub struct EveryError<J>(pub(super) J);

impl<Res, E, J: Judge<Res, E>> Judge<Res, E> for EveryError<J> {
    type Neutral = Infallible;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn answer(&self, response: &Res) -> Option<Cause> {
        self.0.answer(response)
    }

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn error(&self, error: &E) -> Result<Cause, Infallible> {
        Ok(self.0.explain(error))
    }

    fn explain(&self, error: &E) -> Cause {
        self.0.explain(error)
    }

    fn disprove(&self, response: &mut Res) {
        self.0.disprove(response);
    }
}

/// To a classifier that knows refusals they are neutral, but a refused call has nothing else to show for itself.
#[inline]
fn failure(verdict: Verdict, cause: Cause) -> Result<Cause, Neutral> {
    if verdict.is_failure() || cause.refusal().is_some() {
        Ok(cause)
    } else {
        Err(Neutral(()))
    }
}
