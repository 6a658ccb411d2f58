//! Marks as a header, or as metadata of gRPC.

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};

use crate::core::{Degraded, Marks};

pub(super) static DEGRADED: HeaderName = HeaderName::from_static("degraded");

/// The longest header: what every proxy passes on.
pub(super) const LONGEST: usize = 1024;

/// The marks as a list of RFC 9651, those with a public name alone; none where there is nothing to say.
pub(super) fn value(marks: &[Degraded]) -> Option<HeaderValue> {
    let mut members: Vec<String> = Vec::new();
    let mut length = 0;
    for mark in marks.iter().filter(|mark| mark.dependency.is_some()) {
        let member = mark.to_string();
        let more = member.len() + 2 * usize::from(!members.is_empty());
        let fits = members.len() < Marks::MAX && length + more <= LONGEST;
        if fits && !members.contains(&member) {
            length += more;
            members.push(member);
        }
    }
    if members.is_empty() {
        return None;
    }
    HeaderValue::try_from(members.join(", ")).ok()
}

/// Takes off what somebody else says is missing.
#[inline]
pub(super) fn strip(headers: &mut HeaderMap) {
    if has(headers, &DEGRADED) {
        remove(headers);
    }
}

#[cold]
fn remove(headers: &mut HeaderMap) {
    headers.remove(&DEGRADED);
}

/// Whether an answer is one of gRPC, whose status, and whatever else was found late, comes in its trailers.
#[inline]
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    !headers.is_empty()
        && headers
            .get(&CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Up to so many names it is cheaper to compare each than to hash one.
const FEW: usize = 12;

#[inline]
fn has(headers: &HeaderMap, name: &HeaderName) -> bool {
    if headers.keys_len() > FEW {
        headers.contains_key(name)
    } else {
        headers.keys().any(|known| known == name)
    }
}
