use std::time::Duration;

use http::{HeaderValue, Response, header::CONTENT_TYPE};

use crate::{
    core::{Reject, Rejected},
    http::LocalBody,
};

use super::retry_info;

/// Refuses with a trailers-only `UNAVAILABLE` (14) that says when to try again (`google.rpc.RetryInfo`).
///
/// The message names the dependency only by its public name, and the answer's extensions carry the [`Rejected`].
/// Errors stay what they were.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcUnavailable(());

impl GrpcUnavailable {
    /// The strategy.
    pub const fn new() -> Self {
        Self(())
    }
}

const UNAVAILABLE: i32 = 14;

impl<B, E> Reject<Response<B>, E> for GrpcUnavailable {
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

    fn reject(&self, rejected: Rejected) -> Result<Self::Response, E> {
        let mut response = respond(
            rejected.reason().title(),
            rejected.public_name(),
            rejected.retry_after_seconds(),
        );
        response.extensions_mut().insert(rejected);
        Ok(response)
    }
}

/// A trailers-only `UNAVAILABLE` of our own.
pub(crate) fn respond<B>(
    title: &str,
    public_name: Option<&str>,
    retry_after: Option<u64>,
) -> Response<LocalBody<B>> {
    // A name is visible ASCII, in which the percent sign alone must be encoded ("gRPC over HTTP2").
    let message = match public_name {
        Some(name) => format!("{title} ({})", name.replace('%', "%25")),
        None => title.to_owned(),
    };
    let mut response = Response::new(LocalBody::Own(None));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(UNAVAILABLE));
    if let Some(seconds) = retry_after {
        let details = retry_info::encode(UNAVAILABLE, &message, Duration::from_secs(seconds));
        if let Ok(value) = HeaderValue::try_from(details) {
            headers.insert(retry_info::DETAILS, value);
        }
    }
    if let Ok(value) = HeaderValue::try_from(message) {
        headers.insert("grpc-message", value);
    }
    response
}
