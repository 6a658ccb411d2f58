//! What a call turns into whose required part is missing, on HTTP and gRPC.

use http::Response;

use super::failed::RequiredPart;
use crate::{
    core::{Reject, Rejected},
    http::{LocalBody, Unavailable},
};

const TITLE: &str = "Required part missing";

/// A 503 with a problem document, `urn:brownout:required-part`. Its extensions carry the [`RequiredPart`], and never a
/// [`Rejected`]: other parts may have been asked.
impl<B, E> Reject<Response<B>, E, RequiredPart> for Unavailable {
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

    fn reject(&self, missing: RequiredPart) -> Result<Self::Response, E> {
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
impl<B, E> Reject<Response<B>, E, RequiredPart> for crate::grpc::GrpcUnavailable {
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

    fn reject(&self, missing: RequiredPart) -> Result<Self::Response, E> {
        let mut response =
            crate::grpc::unavailable::respond(TITLE, missing.public_name(), retry_after(&missing));
        response.extensions_mut().insert(missing);
        Ok(response)
    }
}

fn retry_after(missing: &RequiredPart) -> Option<u64> {
    let refusal = missing.cause().refusal();
    refusal.and_then(Rejected::retry_after_seconds)
}
