//! Everything behind the shop's door: the registry, the services that the shop depends on, and how it calls them.

use brownout::{Criticality, Registry};
use tower::BoxError;

use crate::{
    client::Backend,
    settings::{Safeguards, Settings},
    upstream::Upstreams,
};

/// What the shop is built on. Dropping it stops the services.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) registry: Registry,
    pub(crate) upstreams: Upstreams,
    pub(crate) backends: Backends,
}

/// The services behind the shop, as the shop calls them.
#[derive(Clone, Debug)]
pub(crate) struct Backends {
    pub(crate) recommendations: Backend,
    pub(crate) users: Backend,
}

impl System {
    /// Starts the services on free ports and connects the shop to them.
    pub(crate) async fn start(
        settings: &Settings,
        safeguards: &Safeguards,
    ) -> Result<Self, BoxError> {
        let registry = Registry::builder().dwell(settings.dwell).build()?;
        // Nobody misses recommendations for a while. A shop that does not know its customers can still sell, but
        // people notice; so this one raises the level.
        let recommendations = registry
            .dependency("recommendations")
            .criticality(Criticality::Optional)
            .description("the model that ranks products for a customer")
            .public_name("recommendations")
            .affects(["/api/v1/recommendations"])
            .register()?;
        let users = registry
            .dependency("users")
            .criticality(Criticality::Important)
            .description("profiles of customers")
            .public_name("users")
            .affects(["/api/v1/users/{id}/profile"])
            .register()?;

        let upstreams = Upstreams::start().await?;
        let backend = |dependency, address| Backend::new(dependency, address, settings, safeguards);
        Ok(Self {
            backends: Backends {
                recommendations: backend(&recommendations, upstreams.recommendations.address()),
                users: backend(&users, upstreams.users.address()),
            },
            upstreams,
            registry,
        })
    }
}
