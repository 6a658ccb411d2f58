use std::future::Future;

use tower_service::Service;

use crate::core::{Oneshot, oneshot};

/// What answers in the place of a service whose flag has stepped back, if anything does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in for a service that answers `{Res}` or fails with `{E}` to `{Req}`",
    note = "a service that stands in answers and fails with the same types as the one behind the flag, and is `Clone`"
)]
pub trait Standby<Req, Res, E> {
    /// Its answer to come.
    type Future: Future<Output = Result<Res, E>>;

    /// Begins, unless there is nobody.
    fn answer(&self, request: Req) -> Option<Self::Future>;
}

/// Nobody stands in: calls are refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody(pub(super) ());

impl<Req, Res, E> Standby<Req, Res, E> for Nobody {
    type Future = std::future::Pending<Result<Res, E>>;

    #[inline]
    fn answer(&self, _: Req) -> Option<Self::Future> {
        None
    }
}

/// A service stands in. A clone of it is made for each call that needs it, waited for, and called.
#[derive(Clone, Debug)]
pub struct Instead<S>(pub(super) S);

impl<S, Req, Res, E> Standby<Req, Res, E> for Instead<S>
where
    S: Service<Req, Response = Res, Error = E> + Clone,
{
    type Future = Oneshot<S, Req, S::Future>;

    #[inline]
    fn answer(&self, request: Req) -> Option<Self::Future> {
        Some(oneshot(self.0.clone(), request))
    }
}
