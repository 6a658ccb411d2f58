//! From an answer of a service behind the shop to the shop's own.

use std::error::Error;

use axum::{
    body::{Bytes, to_bytes},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use brownout::core::Rejected;

use crate::{client::Backend, problem::Problem};

/// More than any service behind this shop has to say.
const MAX_BODY: usize = 256 * 1024;

/// Gets a path of a service and passes its answer on, or a problem that says on whose account there is none.
pub(crate) async fn relay(backend: &Backend, path: &str) -> Response {
    let name = backend.public_name();
    let response = match backend.get(path).await {
        Ok(response) => response,
        Err(error) => {
            // The cause is for the log. A circuit that opens keeps this from being a line for each request.
            tracing::warn!(dependency = name, error = %chain(&*error), "a call failed");
            return problem(name, StatusCode::BAD_GATEWAY, "cannot be reached");
        }
    };
    if response.extensions().get::<Rejected>().is_some() {
        // The circuit's own 503: it says when to come back.
        return response;
    }
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return problem(name, StatusCode::NOT_FOUND, "has no such thing"),
        StatusCode::GATEWAY_TIMEOUT => {
            return problem(name, StatusCode::GATEWAY_TIMEOUT, "did not answer in time");
        }
        status => {
            tracing::warn!(dependency = name, %status, "a call failed");
            return problem(name, StatusCode::BAD_GATEWAY, "failed");
        }
    }
    // Read to its end before anything is promised: half an answer must not go out under a 200.
    match to_bytes(response.into_body(), MAX_BODY).await {
        Ok(json) => found(json),
        Err(error) => {
            tracing::warn!(dependency = name, error = %chain(&error), "an answer broke off");
            problem(name, StatusCode::BAD_GATEWAY, "broke off its answer")
        }
    }
}

fn found(json: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

fn problem(name: &str, status: StatusCode, what: &str) -> Response {
    Problem::new(status, format!("{name} {what}"))
        .on_account_of(name)
        .into_response()
}

/// An error with its causes, which for a connection is where the news is. Wrappers that only repeat it are left out.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let news = error.to_string();
        if !text.ends_with(&news) {
            text = format!("{text}: {news}");
        }
        cause = error.source();
    }
    text
}
