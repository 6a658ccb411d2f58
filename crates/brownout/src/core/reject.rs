use std::error::Error;

use super::Rejected;

/// An error of any kind, as tower uses it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Says what a refused call turns into: one that a layer does not let pass, or (with another `R` than [`Rejected`]) that
/// lacks what its answer is made of.
///
/// A strategy decides the response and error types of the layer that owns it, and converts what the inner service
/// answers into them; no layer has types of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot refuse a call that answers `{Res}` or fails with `{E}`",
    note = "`Same` needs `{E}: From<{R}>`; use `.reject(Fail)` to box errors, `.reject_with(closure)`, or `.for_http()` / `.for_grpc()`"
)]
pub trait Reject<Res, E, R = Rejected> {
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
    fn reject(&self, refused: R) -> Result<Self::Response, Self::Error>;
}

/// Refuses by the inner service's own error type, which must be `From<Rejected>`, or from
/// what else it is to say. The default; a [`BoxError`] works.
#[derive(Clone, Copy, Debug, Default)]
pub struct Same;

// Without this the compiler says that `E` is not `From<Rejected>`, and nothing of what else could refuse.
#[diagnostic::do_not_recommend]
impl<Res, E, R> Reject<Res, E, R> for Same
where
    E: From<R>,
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
    fn reject(&self, refused: R) -> Result<Res, E> {
        Err(refused.into())
    }
}

/// Refuses by a [`BoxError`] that downcasts to [`Rejected`] (or what else it is to say), and boxes the inner service's errors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fail;

impl<Res, E, R> Reject<Res, E, R> for Fail
where
    E: Into<BoxError>,
    R: Into<BoxError>,
{
    type Response = Res;
    type Error = BoxError;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn fail(&self, error: E) -> BoxError {
        error.into()
    }

    fn reject(&self, refused: R) -> Result<Res, BoxError> {
        Err(refused.into())
    }
}

/// Refuses by what a closure makes of the [`Rejected`]: an error or an answer of the inner service's own types.
#[derive(Clone, Copy, Debug)]
pub struct ErrWith<F>(
    /// The closure.
    pub F,
);

impl<Res, E, R, F> Reject<Res, E, R> for ErrWith<F>
where
    F: Fn(R) -> Result<Res, E>,
{
    type Response = Res;
    type Error = E;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn fail(&self, error: E) -> E {
        error
    }

    fn reject(&self, refused: R) -> Result<Res, E> {
        (self.0)(refused)
    }
}
