//! What a page says, and how much worse it is than it could be.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use brownout::core::{Degraded, Marks};
use serde::Serialize;

/// The longest `Degraded` header. Marks that do not fit are left out.
const MAX_HEADER: usize = 1_024;

/// A value, with the marks of the fallbacks that it went through.
#[derive(Clone, Debug)]
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    /// How old a copy is.
    pub(crate) age: Option<Duration>,
    marks: Marks,
}

/// Everything that the shop says names its source.
#[derive(Debug, Serialize)]
struct Sourced<'a, T> {
    #[serde(flatten)]
    value: T,
    source: &'a str,
}

impl<T> Answer<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value,
            age: None,
            marks: Marks::default(),
        }
    }

    /// A copy of that age.
    pub(crate) fn aged(value: T, age: Duration) -> Self {
        Self {
            age: Some(age),
            ..Self::new(value)
        }
    }

    /// Marks the answer as one that a fallback gave. What a chain of fallbacks is told to mark with.
    pub(crate) fn mark(&mut self, mut mark: Degraded) {
        mark.age = mark.age.or(self.age);
        self.marks.push(mark);
    }

    /// The value, and what is to be said of it.
    pub(crate) fn into_marked(self) -> (T, Marks) {
        (self.value, self.marks)
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: f(self.value),
            age: self.age,
            marks: self.marks,
        }
    }
}

impl<T: Serialize> Answer<T> {
    /// As JSON, with the `source`: the tier that answered, or `primary`, the service that should. A degraded answer
    /// says so in its `Degraded` header, and nobody may store it.
    pub(crate) fn respond(self, status: StatusCode, primary: &str) -> Response {
        let tier = self.marks.iter().last().and_then(|mark| mark.tier.clone());
        let json = Json(Sourced {
            value: self.value,
            source: tier.as_deref().unwrap_or(primary),
        });
        (status, headers(&self.marks), json).into_response()
    }
}

/// Says in its headers how degraded an answer is, by the marks that are left in its extensions.
pub(crate) async fn tell_marks(mut response: Response) -> Response {
    if let Some(marks) = response.extensions().get::<Marks>() {
        let headers = headers(marks);
        response.headers_mut().extend(headers);
    }
    response
}

/// A list of RFC 9651, one member a mark. Dependencies that strangers have no name for stay unnamed, and are left out.
fn headers(marks: &Marks) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut list = String::new();
    for mark in marks.iter() {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let member = mark.to_string();
        if mark.dependency.is_some() && list.len() + member.len() + 2 <= MAX_HEADER {
            list += if list.is_empty() { "" } else { ", " };
            list += &member;
        }
    }
    // What a mark prints is visible ASCII, so this does not fail; an empty header would say nothing.
    if let (false, Ok(list)) = (list.is_empty(), HeaderValue::try_from(list)) {
        headers.insert("degraded", list);
    }
    headers
}

#[cfg(test)]
mod tests {
    use brownout::core::DegradeReason;
    use serde_json::json;

    use super::*;

    fn mark(dependency: Option<&str>, tier: &str) -> Degraded {
        let mut mark = Degraded::new(DegradeReason::Unreachable);
        mark.dependency = dependency.map(Into::into);
        mark.tier = Some(tier.into());
        mark
    }

    fn answer(marks: impl IntoIterator<Item = Degraded>) -> Answer<serde_json::Value> {
        let mut answer = Answer::aged(json!({ "id": 7 }), Duration::from_secs(42));
        marks.into_iter().for_each(|mark| answer.mark(mark));
        answer
    }

    #[test]
    fn a_degraded_answer_says_which_tier_gave_it_and_how_old_it_is() {
        let response = answer([mark(Some("users"), "cache")]).respond(StatusCode::OK, "users");
        let headers = response.headers();
        assert_eq!(
            headers["degraded"],
            "users;tier=cache;reason=unreachable;age=42"
        );
        assert_eq!(headers["cache-control"], "no-store");
    }

    #[test]
    fn a_good_answer_has_nothing_to_say() {
        let response = answer([]).respond(StatusCode::OK, "users");
        assert!(!response.headers().contains_key("degraded"));
        assert!(!response.headers().contains_key("cache-control"));
    }

    #[test]
    fn a_dependency_without_a_public_name_stays_unnamed() {
        let response = answer([mark(None, "cache")]).respond(StatusCode::OK, "users");
        assert!(!response.headers().contains_key("degraded"));
        assert_eq!(response.headers()["cache-control"], "no-store");
    }

    #[test]
    fn the_header_is_bounded() {
        let name = "n".repeat(128);
        let marks = (0..16).map(|_| mark(Some(&name), "cache"));
        let response = answer(marks).respond(StatusCode::OK, "users");
        let list = response.headers()["degraded"].to_str().unwrap();
        assert!(list.len() <= MAX_HEADER && list.len() > 900, "{list}");
        assert!(list.ends_with("age=42"), "{list}");
    }
}
