use std::fmt::Write;

use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};

use crate::core::{Reject, Rejected};

use super::body::LocalBody;

/// Refuses with a 503, a `Retry-After` and a problem document (RFC 9457). Errors stay what they were.
///
/// The document names the dependency only by its public name, and the answer's extensions carry the [`Rejected`].
/// `Retry-After` is in seconds, rounded up, with up to a fifth of jitter (RFC 9110, section 10.2.3).
///
/// The answer to a HEAD has the document too, which the server has to leave out: axum's routes do, and so does hyper on
/// HTTP/1. On HTTP/2 hyper leaves that to its service, as it does for whatever a handler answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unavailable(());

impl Unavailable {
    /// The strategy.
    pub const fn new() -> Self {
        Self(())
    }
}

impl<B, E> Reject<Response<B>, E> for Unavailable {
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
        let reason = rejected.reason();
        let mut response = respond(
            reason.as_str(),
            reason.title(),
            rejected.public_name(),
            rejected.retry_after_seconds(),
        );
        response.extensions_mut().insert(rejected);
        Ok(response)
    }
}

/// A 503 with a problem document of our own.
pub(crate) fn respond<B>(
    kind: &str,
    title: &str,
    public_name: Option<&str>,
    retry_after: Option<u64>,
) -> Response<LocalBody<B>> {
    let mut response = Response::new(LocalBody::own(problem(kind, title, public_name)));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn problem(kind: &str, title: &str, public_name: Option<&str>) -> String {
    let mut json =
        format!(r#"{{"type":"urn:brownout:{kind}","title":"{title}","status":503,"detail":""#);
    // A name is visible ASCII; what JSON cannot hold as it is in a string is escaped.
    let name = public_name.map(|name| name.replace('\\', r"\\").replace('"', r#"\""#));
    let written = match &name {
        Some(name) => write!(
            json,
            r#"{name} is not available at the moment","dependency":"{name}"}}"#
        ),
        None => write!(
            json,
            r#"A service behind this one is not available at the moment"}}"#
        ),
    };
    debug_assert!(written.is_ok(), "writing to a string does not fail");
    json
}
