//! `google.rpc.RetryInfo` in `grpc-status-details-bin`: the richer error model, by the few messages that we need.

use std::time::Duration;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::HeaderMap;
use prost::Message;

pub(super) const DETAILS: &str = "grpc-status-details-bin";
const TYPE_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// Binary metadata is sent without padding and accepted with or without ("gRPC over HTTP2").
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Span>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The value of a `grpc-status-details-bin` that says when to try again.
pub(super) fn encode(code: i32, message: &str, after: Duration) -> String {
    let info = RetryInfo {
        retry_delay: Some(Span {
            seconds: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(after.subsec_nanos()).unwrap_or(0),
        }),
    };
    let status = Status {
        code,
        message: message.to_owned(),
        details: vec![Any {
            type_url: TYPE_URL.to_owned(),
            value: info.encode_to_vec(),
        }],
    };
    BASE64.encode(status.encode_to_vec())
}

/// Whether the server said when to try again. Details that cannot be read say nothing.
pub(super) fn is_in(headers: &HeaderMap) -> bool {
    let details = || {
        let bytes = BASE64.decode(headers.get(DETAILS)?.as_bytes()).ok()?;
        Status::decode(&*bytes).ok()
    };
    details().is_some_and(|status| {
        status
            .details
            .iter()
            .any(|detail| detail.type_url == TYPE_URL)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_encode_we_find_again() {
        let mut headers = HeaderMap::new();
        assert!(!is_in(&headers));
        let value = encode(14, "circuit open", Duration::from_millis(4_200));
        headers.insert(DETAILS, value.parse().unwrap());
        assert!(is_in(&headers));
    }

    #[test]
    fn garbage_in_the_details_says_nothing() {
        for garbage in ["", "!!!", "AAAA", "CgVoZWxsbw==", "////////"] {
            let mut headers = HeaderMap::new();
            headers.insert(DETAILS, garbage.parse().unwrap());
            assert!(!is_in(&headers), "{garbage}");
        }
    }
}
