use std::error::Error;

use super::Rejected;

/// An error of any kind, as tower uses it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Says what a refused call turns into.
///
/// A strategy decides the response and error types of the layer that owns it, and converts what the inner service
/// answers into them; no layer has types of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot refuse a call that answers `{Res}` or fails with `{E}`",
    note = "`Same` needs `{E}: From<Rejected>`; use `.reject(Fail)` to box errors, `.reject_with(closure)`, or `.for_http()` / `.for_grpc()`"
)]
pub trait Reject<Res, E> {
    /// What callers get as an answer.
    type Response;
    /// What callers get as an error.
    type Error;

    /// Converts an answer of the inner service.
    fn answer(&self, response: Res) -> Self::Response;

    /// Converts an error of the inner service.
    fn fail(&self, error: E) -> Self::Error;

    /// Turns a refusal into an answer or an error.
    ///
    /// # Errors
    ///
    /// Where the strategy refuses by an error.
    fn reject(&self, rejected: Rejected) -> Result<Self::Response, Self::Error>;
}

/// Refuses by the inner service's own error type, which must be `From<Rejected>`. The default; a [`BoxError`] works.
#[derive(Clone, Copy, Debug, Default)]
pub struct Same;

impl<Res, E> Reject<Res, E> for Same
where
    E: From<Rejected>,
{
    type Response = Res;
    type Error = E;

    #[inline]
    fn answer(&self, response: Res) -> Res {
        response
    }

    #[inline]
    fn fail(&self, error: E) -> E {
        error
    }

    #[inline]
    fn reject(&self, rejected: Rejected) -> Result<Res, E> {
        Err(rejected.into())
    }
}

/// Refuses by a [`BoxError`] that downcasts to [`Rejected`], and boxes the inner service's errors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fail;

impl<Res, E> Reject<Res, E> for Fail
where
    E: Into<BoxError>,
{
    type Response = Res;
    type Error = BoxError;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn fail(&self, error: E) -> BoxError {
        error.into()
    }

    fn reject(&self, rejected: Rejected) -> Result<Res, BoxError> {
        Err(rejected.into())
    }
}

/// Refuses by what a closure makes of the [`Rejected`]: an error or an answer of the inner service's own types.
#[derive(Clone, Copy, Debug)]
pub struct ErrWith<F>(
    /// The closure.
    pub F,
);

impl<Res, E, F> Reject<Res, E> for ErrWith<F>
where
    F: Fn(Rejected) -> Result<Res, E>,
{
    type Response = Res;
    type Error = E;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn fail(&self, error: E) -> E {
        error
    }

    fn reject(&self, rejected: Rejected) -> Result<Res, E> {
        (self.0)(rejected)
    }
}
