use tower_layer::Layer;

use super::service::DegradedMarks;

/// Says beside every degraded answer what is missing from it.
///
/// It collects the marks that layers make while a request is handled, in this service or in clients that the handler
/// calls, and writes them into the `Degraded` header. See the [module's page](crate::report#degraded-answers).
///
/// ```
/// use brownout::{core::{DegradeReason, Degraded}, report::{DegradedLayer, note}};
/// use http::{Request, Response};
/// use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let service = ServiceBuilder::new()
///     .layer(DegradedLayer::new())
///     .service(service_fn(|_: Request<()>| async {
///         let mut mark = Degraded::new(DegradeReason::TimedOut);
///         mark.dependency = Some("recommendations".into());
///         note(&mark);
///         Ok::<_, BoxError>(Response::new("a page without recommendations".to_owned()))
///     }));
///
/// let answer = service.oneshot(Request::new(())).await?;
/// assert_eq!(answer.headers()["degraded"], "recommendations;reason=timed-out");
/// assert_eq!(answer.headers()["cache-control"], "no-store");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DegradedLayer(());

impl DegradedLayer {
    /// The layer; it has no settings.
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for DegradedLayer {
    type Service = DegradedMarks<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DegradedMarks::new(inner)
    }
}
