//! Judging and refusing gRPC calls, without tonic and without `protoc`.
//!
//! * [`GrpcStatus`] judges by the gRPC status, in the head or the trailers ([`at_end`]); a missing one is mapped from
//!   the HTTP status as the gRPC specification says.
//! * [`GrpcUnavailable`] refuses with a trailers-only `UNAVAILABLE` that carries `google.rpc.RetryInfo`.

mod classify;
mod retry_info;
pub(crate) mod unavailable;

pub use self::{
    classify::{GrpcStatus, at_end},
    unavailable::GrpcUnavailable,
};
