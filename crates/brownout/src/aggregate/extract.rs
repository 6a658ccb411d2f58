//! Parts as arguments of axum's handlers.

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{StatusCode, request};

use super::{
    failed::FailedParts,
    http::{NoPart, PartValues},
    key::PartKey,
    outcome::PartOutcome,
};

/// The value of a required part, as an argument of a handler.
///
/// A handler that asks for a part which no [`AggregateLayer`](super::AggregateLayer) in front of it declares as required
/// answers 500 with a text that names the part. Each part can be taken once.
#[derive(Clone, Copy, Debug)]
pub struct Part<K: PartKey>(
    /// The value.
    pub K::Value,
);

/// The outcome of an optional part, as an argument of a handler. For the rest it is a [`Part`].
#[derive(Clone, Debug)]
pub struct MaybePart<K: PartKey>(
    /// The outcome.
    pub PartOutcome<K::Value>,
);

impl<K: PartKey, S: Sync> FromRequestParts<S> for Part<K> {
    type Rejection = NoPart;

    async fn from_request_parts(head: &mut request::Parts, _: &S) -> Result<Self, NoPart> {
        values::<K>(head)?.value::<K>().map(Self)
    }
}

impl<K: PartKey, S: Sync> FromRequestParts<S> for MaybePart<K> {
    type Rejection = NoPart;

    async fn from_request_parts(head: &mut request::Parts, _: &S) -> Result<Self, NoPart> {
        values::<K>(head)?.outcome::<K>().map(Self)
    }
}

/// The parts that failed; none, where there is no aggregate in front.
impl<S: Sync> FromRequestParts<S> for FailedParts {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(head: &mut request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        let values = head.extensions.get::<PartValues>();
        Ok(values
            .map(|values| values.failed().clone())
            .unwrap_or_default())
    }
}

/// A 500 with a text that names the part.
impl IntoResponse for NoPart {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

fn values<K: PartKey>(head: &request::Parts) -> Result<&PartValues, NoPart> {
    let values = head.extensions.get();
    values.ok_or_else(NoPart::undeclared::<K>)
}
