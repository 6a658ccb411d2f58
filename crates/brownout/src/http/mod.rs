//! Judging and refusing HTTP calls, and making requests again.
//!
//! * [`HttpStatus`] is the classifier: an error and a 5xx fail, a 4xx is neutral (429 too), all else succeeds. A
//!   refusal by an inner layer of ours is neutral.
//! * [`AtEnd`] judges when the body has ended, so that an answer which breaks off half-way is a failure.
//! * [`Unavailable`] refuses with a 503, `Retry-After` and a problem document (RFC 9457), with the service's error
//!   type as it was: `axum::Router::layer` takes it without a `HandleErrorLayer`.
//!
//! * [`ReplayLayer`] keeps small request bodies in memory, so that a request can be made again: see [`replay`].
//!
//! Answers travel in [`LocalBody`]: the inner service's body, or bytes of our own. No bound falls on the inner body.

mod at_end;
mod body;
mod classify;
mod observed;
pub mod replay;
pub(crate) mod unavailable;

pub use self::{
    at_end::{AtEnd, EndRule},
    body::LocalBody,
    classify::HttpStatus,
    observed::ObservedBody,
    replay::{Replay, ReplayBody, ReplayLayer},
    unavailable::Unavailable,
};
