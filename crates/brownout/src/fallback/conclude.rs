use std::{convert::Infallible, fmt};

use crate::core::BoxError;

use super::{
    failed::{Exhausted, History},
    judge::Neutral,
    requests::MayNotDescend,
    run::{AllFailed, End, Outcome, ServedBy, Unanswered},
};

/// Says what a call turns into that no tier answered: the chain's response and error types.
///
/// `T` is the last tier's error.
#[diagnostic::on_unimplemented(
    message = "this chain cannot end: `{Self}` has no answer for `{Res}` and `{E}`",
    note = "without `.last(…)` the last tier must fail with the primary's own error `{E}`, which must be `From<Exhausted>` where the chain is not one for HTTP or gRPC; or say what becomes of it (`.exhausted_with(…)`, `.exhausted_fails()`)"
)]
pub trait Conclude<Res, E, T> {
    /// What callers get as an answer.
    type Response;
    /// What callers get as an error.
    type Error;
    /// Shows that a call can be missed; [`Infallible`] where none can.
    type Proof;

    /// Converts an answer.
    fn answer(&self, response: Res) -> Self::Response;

    /// Nobody answered. There is the error of whoever was asked last, unless there is none or the chain tells of all
    /// who failed; there is what led here, unless the error is neutral.
    ///
    /// # Errors
    ///
    /// What becomes of that.
    fn missed(
        &self,
        proof: Self::Proof,
        error: Option<E>,
        history: Option<History>,
    ) -> Result<Self::Response, Self::Error>;

    /// What the last tier leaves to the caller, where all have failed: its own answer or error, or nothing where the
    /// chain tells of all who failed.
    fn left(&self, outcome: Outcome<Res, E, T>) -> Outcome<Res, E, Infallible>;
}

/// Shows that a call can be missed.
#[derive(Clone, Copy, Debug)]
pub struct Missed(());

impl From<Infallible> for Missed {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<Neutral> for Missed {
    fn from(_: Neutral) -> Self {
        Self(())
    }
}

impl From<MayNotDescend> for Missed {
    fn from(_: MayNotDescend) -> Self {
        Self(())
    }
}

impl From<AllFailed> for Missed {
    fn from(_: AllFailed) -> Self {
        Self(())
    }
}

/// Turns the end of a call into what its caller gets; whoever served it has been told by then. The two ways are told
/// apart because what a tier's answer asks for is too much to be inlined on the way of every call.
#[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
#[inline(always)]
pub(super) fn conclude<Res, E, N, St, F, X>(
    end: End<Res, E, N, St, F>,
    conclude: &X,
    primary_answered: impl FnOnce(),
    tier_answered: impl FnOnce(&mut Res, ServedBy),
) -> Option<Result<X::Response, X::Error>>
where
    F: Unanswered<Res, E>,
    X: Conclude<Res, E, F::Tier>,
    N: Into<X::Proof>,
    St: Into<X::Proof>,
    F::Proof: Into<X::Proof>,
{
    let (proof, outcome, history) = match end {
        End::Answer(response) => {
            primary_answered();
            return Some(Ok(conclude.answer(response)));
        }
        End::Served(mut response, by) => {
            tier_answered(&mut response, by);
            return Some(Ok(conclude.answer(response)));
        }
        End::Exercised => return None,
        End::Neutral(proof, error) => {
            return Some(conclude.missed(proof.into(), Some(error), None));
        }
        End::Stuck(proof, outcome, history) => (proof.into(), outcome, history),
        End::Failed(failed) => {
            let (proof, outcome, history) = failed.split();
            (proof.into(), conclude.left(outcome), history)
        }
    };
    Some(match outcome {
        Outcome::Answer(response) => Ok(conclude.answer(response)),
        Outcome::Primary(error) => conclude.missed(proof, Some(error), Some(history)),
        Outcome::Tier(never) => match never {},
        Outcome::Nothing => conclude.missed(proof, None, Some(history)),
    })
}

/// The last tier's own error or failed answer. An [`Exhausted`], turned into the error type, where it had none because
/// there was no time for it, or where the error would say that a write was not sent that somebody else may have made.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnError(pub(super) ());

/// The primary's own error, where the last tier always answers but requests that may be writes do not always get
/// there.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrimaryError(pub(super) ());

/// Every request may descend and the last tier always answers: nothing fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct Certain(pub(super) ());

/// Turns [`Exhausted`] into an answer or an error of the service's own type by a closure.
#[derive(Clone, Copy)]
pub struct ExhaustedWith<F>(pub(super) F);

/// Fails with a [`BoxError`] that downcasts to [`Exhausted`], and boxes the primary's errors.
#[derive(Clone, Copy, Debug, Default)]
pub struct FailExhausted(pub(super) ());

impl<Res, E: From<Exhausted>> Conclude<Res, E, E> for OwnError {
    type Response = Res;
    type Error = E;
    type Proof = Missed;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn missed(&self, _: Missed, error: Option<E>, history: Option<History>) -> Result<Res, E> {
        error.map_or_else(|| Err(Exhausted::of(history).into()), Err)
    }

    fn left(&self, outcome: Outcome<Res, E, E>) -> Outcome<Res, E, Infallible> {
        match outcome {
            Outcome::Answer(response) => Outcome::Answer(response),
            Outcome::Primary(error) | Outcome::Tier(error) => Outcome::Primary(error),
            Outcome::Nothing => Outcome::Nothing,
        }
    }
}

impl<Res, E: From<Exhausted>, T> Conclude<Res, E, T> for PrimaryError {
    type Response = Res;
    type Error = E;
    type Proof = Missed;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn missed(&self, _: Missed, error: Option<E>, history: Option<History>) -> Result<Res, E> {
        error.map_or_else(|| Err(Exhausted::of(history).into()), Err)
    }

    fn left(&self, outcome: Outcome<Res, E, T>) -> Outcome<Res, E, Infallible> {
        outcome.forget_tier()
    }
}

impl<Res, E, T> Conclude<Res, E, T> for Certain {
    type Response = Res;
    type Error = Infallible;
    type Proof = Infallible;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn answer(&self, response: Res) -> Res {
        response
    }

    fn missed(
        &self,
        never: Infallible,
        _: Option<E>,
        _: Option<History>,
    ) -> Result<Res, Infallible> {
        match never {}
    }

    fn left(&self, outcome: Outcome<Res, E, T>) -> Outcome<Res, E, Infallible> {
        outcome.forget_tier()
    }
}

impl<Res, E, T, F> Conclude<Res, E, T> for ExhaustedWith<F>
where
    F: Fn(Exhausted) -> Result<Res, E>,
{
    type Response = Res;
    type Error = E;
    type Proof = Missed;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn missed(&self, _: Missed, error: Option<E>, history: Option<History>) -> Result<Res, E> {
        error.map_or_else(|| (self.0)(Exhausted::of(history)), Err)
    }

    fn left(&self, _: Outcome<Res, E, T>) -> Outcome<Res, E, Infallible> {
        Outcome::Nothing
    }
}

impl<Res, E: Into<BoxError>, T> Conclude<Res, E, T> for FailExhausted {
    type Response = Res;
    type Error = BoxError;
    type Proof = Missed;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn missed(
        &self,
        _: Missed,
        error: Option<E>,
        history: Option<History>,
    ) -> Result<Res, BoxError> {
        Err(error.map_or_else(|| Exhausted::of(history).into(), Into::into))
    }

    fn left(&self, _: Outcome<Res, E, T>) -> Outcome<Res, E, Infallible> {
        Outcome::Nothing
    }
}

impl<F> fmt::Debug for ExhaustedWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExhaustedWith")
    }
}
