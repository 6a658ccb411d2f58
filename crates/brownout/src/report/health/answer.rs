use bytes::Bytes;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE},
};

use crate::http::LocalBody;

use super::verdict::Verdict;

/// An answer about health, before it is a response.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    content_type: Option<&'static str>,
    text: Bytes,
    head_only: bool,
}

impl Answer {
    /// Whether the paths take this method (RFC 9110 asks for GET and HEAD of every resource).
    pub(super) fn takes(method: &Method) -> bool {
        matches!(*method, Method::GET | Method::HEAD)
    }

    pub(super) const fn method_not_allowed() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            content_type: None,
            text: Bytes::new(),
            head_only: false,
        }
    }

    /// What everybody may know.
    pub(super) fn word(verdict: Verdict) -> Self {
        let text = match verdict {
            Verdict::Pass => r#"{"status":"pass"}"#,
            Verdict::Warn => r#"{"status":"warn"}"#,
            Verdict::Fail => r#"{"status":"fail"}"#,
        };
        Self::json(verdict, text)
    }

    pub(super) fn json(verdict: Verdict, text: impl Into<Bytes>) -> Self {
        Self {
            status: verdict.status(),
            content_type: Some("application/health+json"),
            text: text.into(),
            head_only: false,
        }
    }

    pub(super) fn text(verdict: Verdict, text: String) -> Self {
        Self {
            content_type: Some("text/plain; charset=utf-8"),
            ..Self::json(verdict, text)
        }
    }

    pub(super) fn to(mut self, method: &Method) -> Self {
        self.head_only = *method == Method::HEAD;
        self
    }

    pub(super) fn into_response<B>(self) -> Response<LocalBody<B>> {
        let length = self.text.len();
        let body = LocalBody::own(if self.head_only {
            Bytes::new()
        } else {
            self.text
        });
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        // The answer to a HEAD has the length of the answer to a GET, which no server could know.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self.content_type {
            Some(content_type) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type))
            }
            None => headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD")),
        };
        response
    }
}
