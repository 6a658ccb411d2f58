//! The running shop that the tour visits, with the services behind it.

use std::fmt;

use brownout::registry::{CircuitState, Driver};
use serde_json::Value;
use tokio::task::JoinSet;
use tower::BoxError;

use super::visitor::{Answers, Visitor};
use crate::{
    client::Backend,
    server,
    settings::{Safeguards, Settings},
    shop,
    system::System,
    upstream::Upstream,
};

/// Everything runs in this process, but the tour asks by real requests.
#[derive(Debug)]
pub(super) struct Stage {
    visitor: Visitor,
    system: System,
    _driver: Driver,
    _shop: JoinSet<()>,
}

/// A service that the tour breaks, or looks at while another is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Recommendations,
    Users,
}

/// What one step saw.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) answers: Answers,
    /// Of the page that needs the other service.
    pub(super) others: Answers,
    /// Calls that the service saw.
    pub(super) calls: u64,
    pub(super) circuit: CircuitState,
    pub(super) level: String,
}

impl Stage {
    /// Opens the shop on a free port.
    pub(super) async fn set(
        settings: &Settings,
        safeguards: &Safeguards,
    ) -> Result<Self, BoxError> {
        let system = System::start(settings, safeguards).await?;
        let door = server::listen(0, "--port").await?;
        let visitor = Visitor::new(&door.local_addr()?);
        let app = shop::router(&system);
        let mut shop = JoinSet::new();
        shop.spawn(async move {
            if let Err(error) = axum::serve(door, app).await {
                tracing::error!(%error, "the shop closed in the middle of the tour");
            }
        });
        Ok(Self {
            visitor,
            _driver: system.registry.drive(),
            system,
            _shop: shop,
        })
    }

    pub(super) fn upstream(&self, service: Service) -> &Upstream {
        match service {
            Service::Recommendations => &self.system.upstreams.recommendations,
            Service::Users => &self.system.upstreams.users,
        }
    }

    pub(super) fn backend(&self, service: Service) -> &Backend {
        match service {
            Service::Recommendations => &self.system.backends.recommendations,
            Service::Users => &self.system.backends.users,
        }
    }

    /// Asks for the page that needs the service, and at the same time for the one that needs the other.
    pub(super) async fn look(&self, service: Service, visits: u32) -> Sight {
        let (visitor, upstream) = (&self.visitor, self.upstream(service));
        let before = upstream.calls();
        let (answers, others) = tokio::join!(
            visitor.ask_times(visits, service.page()),
            visitor.ask_times(visits, service.other().page()),
        );
        Sight {
            answers,
            others,
            calls: upstream.calls() - before,
            circuit: self.backend(service).circuit().state(),
            level: self.health("level").await,
        }
    }

    /// What `/health` says under this name.
    pub(super) async fn health(&self, field: &str) -> String {
        let answer = self.visitor.ask("/health").await;
        serde_json::from_slice(&answer.body)
            .ok()
            .and_then(|health: Value| Some(health.get(field)?.as_str()?.to_owned()))
            .unwrap_or_else(|| "not told".to_owned())
    }
}

impl Service {
    /// The one that should not notice.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Recommendations => Self::Users,
            Self::Users => Self::Recommendations,
        }
    }

    /// The page of the shop that needs it.
    pub(super) fn page(self) -> &'static str {
        match self {
            Self::Recommendations => "/api/v1/recommendations",
            Self::Users => "/api/v1/users/42/profile",
        }
    }

    /// The level while it is known to be down.
    pub(super) fn level_without_it(self) -> &'static str {
        match self {
            Self::Recommendations => "full",
            Self::Users => "reduced",
        }
    }
}

/// What customers get from it.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recommendations => "recommendations",
            Self::Users => "profiles",
        })
    }
}
