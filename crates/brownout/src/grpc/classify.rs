use http::{HeaderMap, Response, StatusCode};

use crate::{
    core::{Classify, Rejected, Verdict},
    http::{AtEnd, EndRule},
};

use super::retry_info;

/// Judges a gRPC call by its status.
///
/// | status | verdict |
/// |---|---|
/// | `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `INTERNAL`, `UNKNOWN`, `DATA_LOSS` | failure |
/// | `RESOURCE_EXHAUSTED` | failure with retry info, else neutral: the caller's quota, not the server's health |
/// | `CANCELLED`, `ABORTED` | neutral |
/// | `OK`, and the client's own errors (`INVALID_ARGUMENT`, `NOT_FOUND`, `UNIMPLEMENTED`, …) | success |
///
/// By itself it sees the head alone; use [`at_end`] so that trailers count. A transport error fails, and a refusal by
/// an inner layer of ours is neutral.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcStatus(());

impl GrpcStatus {
    /// The rules above.
    pub const fn new() -> Self {
        Self(())
    }
}

/// Judges gRPC calls by [`GrpcStatus`] when their stream has ended. What `for_grpc()` picks.
pub const fn at_end() -> AtEnd<GrpcStatus> {
    AtEnd::new(GrpcStatus(())).rule(EndRule {
        without_trailers: |head, status, headers| match headers.get(STATUS) {
            // A stream that ends without a status is broken, whatever it looked like so far.
            None if status == StatusCode::OK && head == Verdict::Success => Verdict::Failure,
            _ => head,
        },
        with_trailers: |_, trailers| by_status(trailers).unwrap_or(Verdict::Failure),
    })
}

impl<B, E> Classify<Response<B>, E> for GrpcStatus {
    fn classify(&self, outcome: Result<&Response<B>, &E>) -> Verdict {
        let Ok(response) = outcome else {
            return Verdict::Failure;
        };
        if response.extensions().get::<Rejected>().is_some() {
            return Verdict::Neutral;
        }
        by_status(response.headers()).unwrap_or_else(|| by_http_status(response.status()))
    }
}

const STATUS: &str = "grpc-status";

fn by_status(headers: &HeaderMap) -> Option<Verdict> {
    let code = headers.get(STATUS)?.as_bytes();
    Some(match code {
        // OK and what the caller did wrong: the server works.
        b"0" | b"3" | b"5" | b"6" | b"7" | b"9" | b"11" | b"12" | b"16" => Verdict::Success,
        // Resource exhausted.
        b"8" if retry_info::is_in(headers) => Verdict::Failure,
        // Cancelled, aborted, and the caller's quota exhausted, which says nothing about the server's health.
        b"1" | b"8" | b"10" => Verdict::Neutral,
        // Unknown, deadline exceeded, internal, unavailable, data loss; and what no specification knows.
        _ => Verdict::Failure,
    })
}

/// The head of an answer without a status, by "HTTP to gRPC Status Code Mapping" of the gRPC documentation.
fn by_http_status(status: StatusCode) -> Verdict {
    match status {
        StatusCode::OK
        // UNAUTHENTICATED, PERMISSION_DENIED and UNIMPLEMENTED, which are the client's own.
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND => Verdict::Success,
        // INTERNAL, UNAVAILABLE and UNKNOWN.
        _ => Verdict::Failure,
    }
}
