use std::convert::Infallible;

use crate::core::{Cause, Classify, Verdict, requests::Explain};

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
