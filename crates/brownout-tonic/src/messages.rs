//! The messages of `grpc/health/v1/health.proto`, by hand: there are four of them, `List` is younger than what tonic's own
//! crate has generated, and nothing needs `protoc`.

use std::collections::BTreeMap;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CheckRequest {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct CheckResponse {
    #[prost(enumeration = "Condition", tag = "1")]
    pub(crate) status: i32,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct ListRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ListResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(crate) statuses: BTreeMap<String, CheckResponse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Condition {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    /// Of `Watch` alone.
    ServiceUnknown = 3,
}

impl From<Condition> for CheckResponse {
    fn from(serving: Condition) -> Self {
        Self {
            status: serving.into(),
        }
    }
}
