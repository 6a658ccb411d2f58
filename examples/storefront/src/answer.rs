//! What a page says, and where it comes from.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use brownout::{core::Degraded, report::note};
use serde::Serialize;

/// A value, and the tier that it comes from where that is not the service that was asked.
#[derive(Clone, Debug)]
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    /// How old a copy is.
    pub(crate) age: Option<Duration>,
    tier: Option<Arc<str>>,
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
            tier: None,
        }
    }

    /// A copy of that age.
    pub(crate) fn aged(value: T, age: Duration) -> Self {
        Self {
            age: Some(age),
            ..Self::new(value)
        }
    }

    /// Says that a tier gave it. What a chain of fallbacks is told to mark with.
    ///
    /// The chain tells the `Degraded` header by itself, but for what only the answer knows.
    pub(crate) fn mark(&mut self, mut mark: Degraded) {
        mark.age = mark.age.or(self.age);
        note(&mark);
        self.tier = mark.tier;
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: f(self.value),
            age: self.age,
            tier: self.tier,
        }
    }
}

impl<T: Serialize> Answer<T> {
    /// As JSON, with the `source`: the tier that answered, or `primary`, the service that should.
    pub(crate) fn respond(self, status: StatusCode, primary: &str) -> Response {
        let json = Json(Sourced {
            value: self.value,
            source: self.tier.as_deref().unwrap_or(primary),
        });
        (status, json).into_response()
    }
}
