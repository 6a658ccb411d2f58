//! A partial answer as JSON.

use serde::Serialize;

use super::{failed::FailedParts, parts::Parts};

/// An answer that says what it lacks: `{ "data": …, "partial_failure": true, "failed_services": [{ "service":
/// "recommendations", "error": "no answer in time" }] }`.
///
/// Services appear under the names of their parts, and errors in words that strangers may read. A part that another value
/// stands in for is listed too.
///
/// ```
/// # use brownout::aggregate::{AggregateLayer, PartKey};
/// # use tower::{BoxError, ServiceExt, service_fn};
/// # struct Recs;
/// # impl PartKey for Recs { type Value = Vec<u32>; const NAME: &'static str = "recommendations"; }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// # let recommender = service_fn(|_: u32| async { Err::<Vec<u32>, BoxError>("10.0.0.7 refused".into()) });
/// let page = AggregateLayer::for_results::<u32>().optional(Recs, recommender).into_service()?;
/// let parts = page.oneshot(7).await?;
/// let json = serde_json::to_string(&parts.envelope("hello"))?;
/// assert_eq!(
///     json,
///     r#"{"data":"hello","partial_failure":true,"failed_services":[{"service":"recommendations","error":"failed"}]}"#
/// );
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Envelope<D> {
    /// What there is.
    pub data: D,
    /// Whether any part failed.
    pub partial_failure: bool,
    /// The parts that failed.
    pub failed_services: Vec<FailedService>,
}

/// A part that failed, as strangers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedService {
    /// The part's name.
    pub service: String,
    /// Why it failed.
    pub error: &'static str,
}

impl FailedParts {
    /// An answer that says what it lacks.
    pub fn envelope<D>(&self, data: D) -> Envelope<D> {
        let failed = self.iter().map(|part| FailedService {
            service: part.name().to_owned(),
            error: part.public_text(),
        });
        Envelope {
            data,
            partial_failure: self.is_partial(),
            failed_services: failed.collect(),
        }
    }
}

impl<T> Parts<T> {
    /// An answer that says what it lacks.
    pub fn envelope<D>(&self, data: D) -> Envelope<D> {
        self.failed_parts().envelope(data)
    }
}
