use crate::core::{BoxError, ErrWith, Fail, Same};

use super::failed::RequiredPart;

/// Says what a call turns into whose required part is missing.
///
/// It is for a missing part what [`Reject`](crate::core::Reject) is for a refusal, with the same strategies: [`Same`],
/// [`Fail`], [`ErrWith`], and on HTTP and gRPC [`Unavailable`](crate::http::Unavailable) and
/// [`GrpcUnavailable`](crate::grpc::GrpcUnavailable).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot answer a call that lacks a required part, where calls answer `{Res}` or fail with `{E}`",
    note = "`Same` needs `{E}: From<RequiredPart>`; use `.reject(Fail)` to box errors, `.reject_with(closure)`, or `.for_http()` / `.for_grpc()`"
)]
pub trait OnMissing<Res, E> {
    /// What callers get as an answer.
    type Response;
    /// What callers get as an error.
    type Error;

    /// Converts an answer of the composing service.
    fn answer(&self, response: Res) -> Self::Response;

    /// Converts an error of the composing service.
    fn fail(&self, error: E) -> Self::Error;

    /// Turns the missing part into an answer or an error.
    ///
    /// # Errors
    ///
    /// Where the strategy refuses by an error.
    fn missing(&self, missing: RequiredPart) -> Result<Self::Response, Self::Error>;
}

impl<Res, E: From<RequiredPart>> OnMissing<Res, E> for Same {
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

    fn missing(&self, missing: RequiredPart) -> Result<Res, E> {
        Err(missing.into())
    }
}

impl<Res, E: Into<BoxError>> OnMissing<Res, E> for Fail {
    type Response = Res;
    type Error = BoxError;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn fail(&self, error: E) -> BoxError {
        error.into()
    }

    fn missing(&self, missing: RequiredPart) -> Result<Res, BoxError> {
        Err(missing.into())
    }
}

impl<Res, E, F> OnMissing<Res, E> for ErrWith<F>
where
    F: Fn(RequiredPart) -> Result<Res, E>,
{
    type Response = Res;
    type Error = E;

    fn answer(&self, response: Res) -> Res {
        response
    }

    fn fail(&self, error: E) -> E {
        error
    }

    fn missing(&self, missing: RequiredPart) -> Result<Res, E> {
        (self.0)(missing)
    }
}

#[cfg(feature = "http")]
mod messages {
    use http::Response;

    use super::{OnMissing, RequiredPart};
    use crate::{
        core::Rejected,
        http::{LocalBody, Unavailable},
    };

    const TITLE: &str = "Required part missing";

    /// A 503 with a problem document, `urn:brownout:required-part`. Its extensions carry the [`RequiredPart`], and
    /// never a [`Rejected`]: other parts may have been asked.
    impl<B, E> OnMissing<Response<B>, E> for Unavailable {
        type Response = Response<LocalBody<B>>;
        type Error = E;

        #[inline]
        fn answer(&self, response: Response<B>) -> Self::Response {
            response.map(LocalBody::Inner)
        }

        #[inline]
        fn fail(&self, error: E) -> E {
            error
        }

        fn missing(&self, missing: RequiredPart) -> Result<Self::Response, E> {
            let mut response = crate::http::unavailable::respond(
                "required-part",
                TITLE,
                missing.public_name(),
                retry_after(&missing),
            );
            response.extensions_mut().insert(missing);
            Ok(response)
        }
    }

    /// A trailers-only `UNAVAILABLE`, with the same in its extensions.
    #[cfg(feature = "grpc")]
    impl<B, E> OnMissing<Response<B>, E> for crate::grpc::GrpcUnavailable {
        type Response = Response<LocalBody<B>>;
        type Error = E;

        #[inline]
        fn answer(&self, response: Response<B>) -> Self::Response {
            response.map(LocalBody::Inner)
        }

        #[inline]
        fn fail(&self, error: E) -> E {
            error
        }

        fn missing(&self, missing: RequiredPart) -> Result<Self::Response, E> {
            let mut response = crate::grpc::unavailable::respond(
                TITLE,
                missing.public_name(),
                retry_after(&missing),
            );
            response.extensions_mut().insert(missing);
            Ok(response)
        }
    }

    fn retry_after(missing: &RequiredPart) -> Option<u64> {
        let refusal = missing.cause().refusal();
        refusal.and_then(Rejected::retry_after_seconds)
    }
}
