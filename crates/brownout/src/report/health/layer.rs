use std::{fmt, sync::Arc};

use brownout_registry::{Dependency, Registry};
use http::request::Parts;
use tower_layer::Layer;

use crate::{core::ConfigError, report::Lifecycle};

use super::{
    endpoint::{Endpoint, Paths},
    service::Health,
    state::{Needed, State},
};

/// Answers the health paths in front of any HTTP service, and passes everything else on untouched.
///
/// See the [module's page](crate::report#health-over-http) for what the paths answer. However often the layer is applied, all
/// its services answer alike.
///
/// ```
/// use brownout::{Registry, report::{Endpoint, HealthLayer, Lifecycle}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new();
/// let ledger = registry.dependency("ledger").register()?;
/// let process = Lifecycle::new();
///
/// let layer = HealthLayer::new(&registry)
///     .process(&process)
///     .ready_when(&ledger)
///     .authorise(|request| request.headers.get("x-operator").is_some_and(|secret| secret == "…"))
///     .path(Endpoint::Live, "/internal/livez")?;
/// # let _ = layer;
///
/// // When migrations are done and caches warm:
/// process.started();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct HealthLayer {
    state: Arc<State>,
}

impl HealthLayer {
    /// Answers at `/livez`, `/readyz`, `/startupz` and `/health`, for a process that has started, with details for nobody.
    pub fn new(registry: &Registry) -> Self {
        Self {
            state: Arc::new(State {
                registry: registry.clone(),
                process: Lifecycle::serving(),
                needed: Vec::new(),
                paths: Paths::new(),
                authorise: None,
                service_id: None,
                release_id: None,
            }),
        }
    }

    /// Whose word on start, pause and end counts for readiness and startup. Default: a process that has started and
    /// goes on.
    pub fn process(self, process: &Lifecycle) -> Self {
        self.with(|state| state.process = process.clone())
    }

    /// The process should get requests only while this dependency is not unhealthy, and not before anybody knows how it
    /// is. Default: readiness depends on nothing outside the process.
    ///
    /// Only for what *this* process needs and others may have: its own disk, its own sidecar. A dependency that all
    /// replicas share takes all of them out of service at once, and there is nobody left who could answer from a
    /// fallback. Probes, code and overrides count; circuits and observed traffic don't
    /// ([`status_without_traffic`](Dependency::status_without_traffic)): a process without requests could not learn by
    /// them that the dependency is back.
    ///
    /// What only a probe can say is known once somebody [drives](Registry::drive) the registry.
    ///
    /// There is no such setting for liveness. A process is not restarted because something else is down.
    pub fn ready_when(self, dependency: &Dependency) -> Self {
        self.with(|state| state.needed.push(Arc::new(Needed::new(dependency.clone()))))
    }

    /// Who is told more than one word: those for whom the closure says so. Default: nobody.
    ///
    /// It sees the head of the request, extensions included, where the peer's address is on most servers. It runs in the
    /// caller's task; one that panics has authorised nobody. Details hold the dependencies' names and public messages,
    /// whether or not they have a public name.
    pub fn authorise(self, authorise: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.with(|state| state.authorise = Some(Arc::new(authorise)))
    }

    /// Moves an endpoint: to a path that begins with `/`, of at most 256 visible ASCII characters other than `?`, `#`
    /// and `%`, at which there is no other endpoint.
    ///
    /// A request's path is compared as a whole, after decoding what is percent-encoded in it.
    pub fn path(self, endpoint: Endpoint, path: impl Into<String>) -> Result<Self, ConfigError> {
        let mut state = Arc::unwrap_or_clone(self.state);
        state.paths.set(endpoint, path.into())?;
        Ok(Self {
            state: Arc::new(state),
        })
    }

    /// Takes an endpoint away: its path is passed on.
    pub fn without(self, endpoint: Endpoint) -> Self {
        self.with(|state| state.paths.remove(endpoint))
    }

    /// The service's own name, for the `serviceId` of `/health`.
    pub fn service_id(self, id: impl Into<String>) -> Self {
        self.with(|state| state.service_id = Some(id.into().into()))
    }

    /// The version that runs, for the `releaseId` of `/health`.
    pub fn release_id(self, id: impl Into<String>) -> Self {
        self.with(|state| state.release_id = Some(id.into().into()))
    }

    fn with(self, change: impl FnOnce(&mut State)) -> Self {
        let mut state = Arc::unwrap_or_clone(self.state);
        change(&mut state);
        Self {
            state: Arc::new(state),
        }
    }
}

impl<S> Layer<S> for HealthLayer {
    type Service = Health<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Health::new(inner, Arc::clone(&self.state))
    }
}

impl fmt::Debug for HealthLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthLayer")
            .field("state", &self.state)
            .finish()
    }
}
