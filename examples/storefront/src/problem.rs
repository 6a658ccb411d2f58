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
    detail: String,
    dependency: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            dependency: None,
        }
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
        let headers = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (self.status, headers, document.to_string()).into_response()
    }
}
