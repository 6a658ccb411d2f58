use brownout_registry::Dependency;
use tower_layer::Layer;

use crate::core::{AtHead, ErrIsFailure};

use super::{handle::Traffic, service::Reported};

/// Reports what the calls of a service say of the dependency behind it: the share that fails, and how long they take.
///
/// It needs [`for_http`](ReportLayer::for_http), [`for_grpc`](ReportLayer::for_grpc),
/// [`for_results`](ReportLayer::for_results) or an [`observe`](ReportLayer::observe), which say how calls are judged.
/// However often it is applied, all services count together. See the [module's page](crate::report#passive-reports).
///
/// ```
/// use brownout::{Registry, registry::Status, report::ReportLayer};
/// use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let registry = Registry::new();
/// let search = registry.dependency("search").register()?;
///
/// let client = ServiceBuilder::new()
///     .layer(ReportLayer::new(&search).for_results())
///     .service(service_fn(|_: u32| async { Err::<u32, _>(BoxError::from("down")) }));
///
/// for n in 0..20 {
///     assert!(client.clone().oneshot(n).await.is_err());
/// }
/// assert_eq!(search.status(), Status::Unhealthy);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ReportLayer<O = Unjudged> {
    traffic: Traffic,
    observe: O,
}

/// Nobody has said yet how calls are judged.
// Not `Clone`, so that a stack without a judge fails to compile where it is built. The compiler then shows the line of
// the struct and no more, which is why the way out stands on it.
#[derive(Debug)]
pub struct Unjudged(()); // say how calls are judged: `.for_http()`, `.for_grpc()`, `.for_results()` or `.classify(…)`

impl ReportLayer {
    /// Reports on this dependency, with the [defaults](super::TrafficBuilder).
    pub fn new(dependency: &Dependency) -> Self {
        Self::with(Traffic::new(dependency))
    }

    /// Reports what this traffic says.
    pub const fn with(traffic: Traffic) -> Self {
        Self {
            traffic,
            observe: Unjudged(()),
        }
    }

    /// For plain services: only an `Err` fails.
    pub fn for_results(self) -> ReportLayer<AtHead<ErrIsFailure>> {
        self.observe(AtHead(ErrIsFailure))
    }

    /// For HTTP services: judges by status and by whether the body arrives. See [`crate::http`].
    #[cfg(feature = "http")]
    pub fn for_http(self) -> ReportLayer<crate::http::AtEnd<crate::http::HttpStatus>> {
        self.observe(crate::http::AtEnd::new(crate::http::HttpStatus::new()))
    }

    /// For gRPC services and channels: judges by status, in head or trailers. See [`crate::grpc`].
    #[cfg(feature = "grpc")]
    pub fn for_grpc(self) -> ReportLayer<crate::http::AtEnd<crate::grpc::GrpcStatus>> {
        self.observe(crate::grpc::at_end())
    }

    /// Judges by a closure or another [`Classify`](crate::core::Classify), as soon as the answer is there.
    pub fn classify<K>(self, classify: K) -> ReportLayer<AtHead<K>> {
        self.observe(AtHead(classify))
    }

    /// Says when calls are judged and by whom.
    pub fn observe<O>(self, observe: O) -> ReportLayer<O> {
        ReportLayer {
            traffic: self.traffic,
            observe,
        }
    }
}

impl<S, O: Clone> Layer<S> for ReportLayer<O> {
    type Service = Reported<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Reported::new(inner, self.traffic.clone(), self.observe.clone())
    }
}
