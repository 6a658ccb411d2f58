use std::{convert::Infallible, fmt};

use crate::core::BoxError;

use super::{
    descent::{Outcome, Spent},
    failed::{Exhausted, History},
    requests::MayNotDescend,
};

/// Says what a call turns into that no tier answered: the chain's response and error types.
///
/// `N` and `St` are what shows that an error is neutral and that a request may not descend; `F` is what is left when
/// all have failed. Each is [`Infallible`] where it cannot be.
#[diagnostic::on_unimplemented(
    message = "this chain cannot end: `{Self}` has no answer for `{Res}` and `{E}`",
    note = "without `.last(…)` the last tier must fail with the primary's own error `{E}`, which must be `From<Exhausted>` where the chain is not one for HTTP or gRPC; or say `.exhausted(…)`"
)]
pub trait Conclude<Res, E, N, St, F> {
    /// What callers get as an answer.
    type Response;
    /// What callers get as an error.
    type Error;

    /// Converts an answer.
    fn answer(&self, response: Res) -> Self::Response;

    /// Converts an error of the primary that is neutral.
    ///
    /// # Errors
    ///
    /// The error.
    fn neutral(&self, neutral: N, error: E) -> Result<Self::Response, Self::Error>;

    /// Somebody failed, and the request may not go further.
    ///
    /// # Errors
    ///
    /// The error of the one who failed.
    fn stuck(
        &self,
        stuck: St,
        outcome: Outcome<Res, E, Infallible>,
        history: History,
    ) -> Result<Self::Response, Self::Error>;

    /// All have failed.
    ///
    /// # Errors
    ///
    /// The last tier's own, or what was made of [`Exhausted`].
    fn failed(&self, failed: F) -> Result<Self::Response, Self::Error>;
}

/// The last tier's own error or failed answer. An [`Exhausted`], turned into the error type, where it had none because
/// there was no time for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnError(pub(super) ());

impl<Res, E, N, St, K> Conclude<Res, E, N, St, Spent<Res, E, E, K>> for OwnError
where
    E: From<Exhausted>,
{
    type Response = Res;
    type Error = E;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn neutral(&self, _: N, error: E) -> Result<Res, E> {
        Err(error)
    }

    fn stuck(
        &self,
        _: St,
        outcome: Outcome<Res, E, Infallible>,
        history: History,
    ) -> Result<Res, E> {
        own(outcome, history)
    }

    fn failed(&self, spent: Spent<Res, E, E, K>) -> Result<Res, E> {
        own(spent.outcome.map_tier(), spent.history)
    }
}

/// There is a last tier that always answers, but requests that may be writes do not always get there: their failures
/// stay what they are.
impl<Res, E, N> Conclude<Res, E, N, MayNotDescend, Infallible> for OwnError
where
    E: From<Exhausted>,
{
    type Response = Res;
    type Error = E;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn neutral(&self, _: N, error: E) -> Result<Res, E> {
        Err(error)
    }

    fn stuck(
        &self,
        _: MayNotDescend,
        outcome: Outcome<Res, E, Infallible>,
        history: History,
    ) -> Result<Res, E> {
        own(outcome, history)
    }

    fn failed(&self, failed: Infallible) -> Result<Res, E> {
        match failed {}
    }
}

/// Every request may descend and the last tier always answers: nothing fails.
impl<Res, E> Conclude<Res, E, Infallible, Infallible, Infallible> for OwnError {
    type Response = Res;
    type Error = Infallible;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn answer(&self, response: Res) -> Res {
        response
    }

    fn neutral(&self, neutral: Infallible, _: E) -> Result<Res, Infallible> {
        match neutral {}
    }

    fn stuck(
        &self,
        stuck: Infallible,
        _: Outcome<Res, E, Infallible>,
        _: History,
    ) -> Result<Res, Infallible> {
        match stuck {}
    }

    fn failed(&self, failed: Infallible) -> Result<Res, Infallible> {
        match failed {}
    }
}

fn own<Res, E: From<Exhausted>>(
    outcome: Outcome<Res, E, Infallible>,
    history: History,
) -> Result<Res, E> {
    match outcome {
        Outcome::Answer(response) => Ok(response),
        Outcome::Primary(error) => Err(error),
        Outcome::Tier(never) => match never {},
        Outcome::Nothing => Err(Exhausted::from(history).into()),
    }
}

impl<Res, Own> Outcome<Res, Own, Own> {
    /// The last tier fails with the primary's own type, so that it does not matter whose error it is.
    pub(super) fn map_tier(self) -> Outcome<Res, Own, Infallible> {
        match self {
            Self::Answer(response) => Outcome::Answer(response),
            Self::Primary(error) | Self::Tier(error) => Outcome::Primary(error),
            Self::Nothing => Outcome::Nothing,
        }
    }
}

/// Turns [`Exhausted`] into an answer or an error of the service's own type by a closure.
#[derive(Clone, Copy)]
pub struct ExhaustedWith<F>(pub(super) F);

/// Fails with a [`BoxError`] that downcasts to [`Exhausted`], and boxes the primary's errors.
#[derive(Clone, Copy, Debug, Default)]
pub struct FailExhausted(pub(super) ());

impl<Res, E, N, St, T, K, F> Conclude<Res, E, N, St, Spent<Res, E, T, K>> for ExhaustedWith<F>
where
    F: Fn(Exhausted) -> Result<Res, E>,
{
    type Response = Res;
    type Error = E;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn neutral(&self, _: N, error: E) -> Result<Res, E> {
        Err(error)
    }

    fn stuck(
        &self,
        _: St,
        outcome: Outcome<Res, E, Infallible>,
        history: History,
    ) -> Result<Res, E> {
        match outcome {
            Outcome::Answer(response) => Ok(response),
            Outcome::Primary(error) => Err(error),
            Outcome::Tier(never) => match never {},
            Outcome::Nothing => (self.0)(history.into()),
        }
    }

    fn failed(&self, spent: Spent<Res, E, T, K>) -> Result<Res, E> {
        (self.0)(spent.history.into())
    }
}

impl<Res, E, N, St, T, K> Conclude<Res, E, N, St, Spent<Res, E, T, K>> for FailExhausted
where
    E: Into<BoxError>,
{
    type Response = Res;
    type Error = BoxError;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn neutral(&self, _: N, error: E) -> Result<Res, BoxError> {
        Err(error.into())
    }

    fn stuck(
        &self,
        _: St,
        outcome: Outcome<Res, E, Infallible>,
        history: History,
    ) -> Result<Res, BoxError> {
        match outcome {
            Outcome::Answer(response) => Ok(response),
            Outcome::Primary(error) => Err(error.into()),
            Outcome::Tier(never) => match never {},
            Outcome::Nothing => Err(Exhausted::from(history).into()),
        }
    }

    fn failed(&self, spent: Spent<Res, E, T, K>) -> Result<Res, BoxError> {
        Err(Exhausted::from(spent.history).into())
    }
}

impl<F> fmt::Debug for ExhaustedWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExhaustedWith")
    }
}
