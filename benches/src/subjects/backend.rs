//! The inner service of every subject: it answers at once, so that what is measured is what stands in front of it.

use std::fmt;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use tower_service::Service;

/// What is asked: a word that fits a register, so that no copy of ours hides a layer's own cost.
pub type Request = u64;

/// What is answered.
pub type Response = u64;

/// Why a call failed. It has no data, so that no subject is charged for building or dropping it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The backend said no.
    Backend,
    /// A layer refused the call.
    Refused,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backend => "the backend failed",
            Self::Refused => "the call was refused",
        })
    }
}

impl std::error::Error for Fault {}

/// Always succeeds.
#[derive(Debug, Clone, Copy)]
pub struct Answering;

/// Always fails.
#[derive(Debug, Clone, Copy)]
pub struct Failing;

impl Service<Request> for Answering {
    type Response = Response;
    type Error = Fault;
    type Future = Ready<Result<Response, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        ready(Ok(request))
    }
}

impl Service<Request> for Failing {
    type Response = Response;
    type Error = Fault;
    type Future = Ready<Result<Response, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        ready(Err(Fault::Backend))
    }
}

/// A peer's constructor refused its configuration: a mistake in this package, told with the peer's own words.
pub fn configured<T, E: fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| unreachable!("a subject is configured wrongly: {error}"))
}
