//! How a call goes on from a service to the degraded one: the strategies behind
//! [`fall_through`](super::FlagLayer::fall_through). Most users never name them.

use std::fmt;

use crate::core::{Cause, DegradeReason};

use super::standby::{Instead, Nobody, Standby};

#[cfg(feature = "http")]
pub use super::falling::Messages;
pub use super::{
    falling::Plain,
    through::{FallThrough, Falling},
};

/// What answers in the place of a degraded service, and perhaps also calls that the service itself has failed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in for a service that answers `{Res}` or fails with `{E}` to `{Req}`",
    note = "a service that stands in answers and fails with the same types as the one behind the flag, and is `Clone`",
    note = "with `.fall_through()`, plain requests are `Clone`, bodies of HTTP requests can be made again (`brownout::http::ReplayLayer`, or `.cloning()`), and errors have a `Display` (or `.causes(…)`)"
)]
pub trait Degrade<Req, Res, E>: Standby<Req, Res, E> {
    /// What is kept of a call while the service has it. `P` is the answer that callers get.
    type Falling<P>: Fall<Res, E, P, Self::Future>;
    /// Whether failed calls go on.
    const FALLS: bool;

    /// Keeps what is needed to go on if the call fails.
    fn keep<P>(&self, request: &Req) -> Self::Falling<P>;

    /// For calls that the service does not get.
    fn keep_nothing<P>(&self) -> Self::Falling<P>;

    /// The reason for which a call goes on when the service's readiness fails; none where the error is the caller's.
    fn not_ready(&self, error: &E) -> Option<DegradeReason>;
}

/// A call that may go on to the degraded service, whose answer is `G`, when the service itself has failed it.
pub trait Fall<Res, E, P, G> {
    /// Whether it can.
    const FALLS: bool;

    /// The cause, where an answer is a refusal by an inner layer.
    fn refusal(&self, response: &Res) -> Option<Cause>;

    /// The cause that an error is.
    fn explain(&self, error: &E) -> Cause;

    /// Goes on after that cause.
    ///
    /// # Errors
    ///
    /// The failure, where the request may not go on or cannot be made again.
    fn go_on(&mut self, cause: &Cause, failed: Result<P, E>) -> Result<G, Result<P, E>>;

    /// What the degraded service's outcome is to the caller.
    ///
    /// # Errors
    ///
    /// The service's own failure, where that outcome is an error, which might pass for proof that a write was not sent,
    /// and the service may have made it.
    fn ended(&mut self, outcome: Result<Res, E>) -> Result<Result<Res, E>, Result<P, E>>;
}

/// A call whose failure is the caller's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stays(());

impl<Res, E, P, G> Fall<Res, E, P, G> for Stays {
    const FALLS: bool = false;

    #[inline]
    fn refusal(&self, _: &Res) -> Option<Cause> {
        None
    }

    #[inline]
    fn explain(&self, _: &E) -> Cause {
        Cause::failed("it failed")
    }

    #[inline]
    fn go_on(&mut self, _: &Cause, failed: Result<P, E>) -> Result<G, Result<P, E>> {
        Err(failed)
    }

    #[inline]
    fn ended(&mut self, outcome: Result<Res, E>) -> Result<Result<Res, E>, Result<P, E>> {
        Ok(outcome)
    }
}

/// Nothing is asked of requests and errors of calls that do not go on.
macro_rules! stays {
    ([$($parameter:ident)?] $standby:ty) => {
        impl<$($parameter,)? Req, Res, E> Degrade<Req, Res, E> for $standby
        where
            Self: Standby<Req, Res, E>,
        {
            type Falling<P> = Stays;
            const FALLS: bool = false;

            #[inline]
            fn keep<P>(&self, _: &Req) -> Stays {
                Stays(())
            }

            #[inline]
            fn keep_nothing<P>(&self) -> Stays {
                Stays(())
            }

            #[inline]
            fn not_ready(&self, _: &E) -> Option<DegradeReason> {
                None
            }
        }
    };
}

stays!([] Nobody);
stays!([S] Instead<S>);

/// Reads what failed answers and errors of a service prove.
pub trait Causes<Res, E> {
    /// The cause, where an answer is a refusal by an inner layer.
    fn refusal(&self, response: &Res) -> Option<Cause>;

    /// The cause that an error is.
    fn explain(&self, error: &E) -> Cause;

    /// Takes from an answer what would prove to those above that the call was not sent.
    fn disprove(&self, response: &mut Res);
}

/// Calls of plain services: only errors prove anything.
#[derive(Clone, Copy)]
pub struct OfResults<X>(pub(super) X);

impl<Res, E, X: crate::core::requests::Explain<E>> Causes<Res, E> for OfResults<X> {
    #[inline]
    fn refusal(&self, _: &Res) -> Option<Cause> {
        None
    }

    fn explain(&self, error: &E) -> Cause {
        self.0.explain(error)
    }

    #[inline]
    fn disprove(&self, _: &mut Res) {}
}

/// Calls of HTTP and gRPC services: an answer may be a refusal, which carries a [`Rejected`](crate::core::Rejected) in
/// its extensions.
#[cfg(feature = "http")]
#[derive(Clone, Copy)]
pub struct OfMessages<X>(pub(super) X);

#[cfg(feature = "http")]
impl<B, E, X> Causes<http::Response<B>, E> for OfMessages<X>
where
    X: crate::core::requests::Explain<E>,
{
    #[inline]
    fn refusal(&self, response: &http::Response<B>) -> Option<Cause> {
        response.extensions().get().map(Cause::rejected)
    }

    fn explain(&self, error: &E) -> Cause {
        self.0.explain(error)
    }

    fn disprove(&self, response: &mut http::Response<B>) {
        response.extensions_mut().remove::<crate::core::Rejected>();
    }
}

impl<X> fmt::Debug for OfResults<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfResults")
    }
}

#[cfg(feature = "http")]
impl<X> fmt::Debug for OfMessages<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfMessages")
    }
}
