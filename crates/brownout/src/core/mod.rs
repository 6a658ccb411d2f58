//! What every pattern is built from: verdicts, classification, observation, refusal, and degraded marks.
//!
//! A pattern judges calls and answers some of them itself. Both are *strategies* that the user can swap, so that
//! no layer puts an error type or a body type of its own between the user and their service:
//!
//! * [`Classify`] turns the outcome of a call into a [`Verdict`]; closures work.
//! * [`Observe`] says *when* a call is judged: [`AtHead`] as soon as the answer is there, [`AtEnd`](crate::http::AtEnd)
//!   when its body has ended. Either settles a [`Settle`] (a ticket) exactly once.
//! * [`Reject`] says what a refused call turns into: [`Same`] keeps the error type, [`Fail`] boxes it, [`ErrWith`]
//!   asks a closure; [`Unavailable`](crate::http::Unavailable) answers HTTP and
//!   [`GrpcUnavailable`](crate::grpc::GrpcUnavailable) gRPC.
//! * [`MarkDegraded`] says how an answer shows that it is less than it could be.

mod cause;
mod classify;
pub(crate) mod collector;
pub(crate) mod config;
mod degraded;
pub(crate) mod mark;
mod observe;
pub(crate) mod oneshot;
mod reject;
mod rejected;
pub(crate) mod requests;
pub(crate) mod said;
pub(crate) mod span;
pub(crate) mod spell;
pub(crate) mod striped;
pub(crate) mod sync;
pub(crate) mod tally;
pub(crate) mod threads;
pub(crate) mod unwind;
mod verdict;

pub(crate) use brownout_registry::{caught, logged};

#[cfg(feature = "http")]
pub use self::mark::InExtensions;
pub use self::verdict::Verdict;
pub use self::{
    cause::{Cause, CauseKind},
    classify::{Classify, ErrIsFailure},
    config::{ConfigError, Ratio},
    degraded::{DegradeReason, Degraded, Marks},
    mark::{MarkDegraded, MarkWith, Unmarked},
    observe::{AtHead, Observe, Settle},
    oneshot::{Oneshot, oneshot},
    reject::{BoxError, ErrWith, Fail, Reject, Same},
    rejected::{Origin, RejectReason, Rejected, refusal_of},
};
