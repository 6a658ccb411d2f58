//! Failures as callers see them: problem documents (RFC 9457).

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// What went wrong, in words that may be shown to anybody: no address, and no error text of another service.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    kind: Option<String>,
    detail: String,
    dependency: Option<String>,
    retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind: None,
            detail: detail.into(),
            dependency: None,
            retry_after: None,
        }
    }

    /// Says what kind of problem it is, for programs.
    pub(crate) fn of_kind(mut self, kind: &str) -> Self {
        self.kind = Some(kind.to_owned());
        self
    }

    /// Says when it is worth trying again, in seconds.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Names the service on whose account the call failed.
    pub(crate) fn on_account_of(mut self, public_name: &str) -> Self {
        self.dependency = Some(public_name.to_owned());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Without a `type`, the title is that of the status (RFC 9457, section 4.2.1).
        let mut document = json!({
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(dependency) = self.dependency {
            document["dependency"] = dependency.into();
        }
        if let Some(kind) = self.kind {
            document["type"] = kind.into();
        }
        let headers = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        let mut response = (self.status, headers, document.to_string()).into_response();
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
