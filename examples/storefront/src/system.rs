//! Everything behind the shop's door: the registry, the services that the shop depends on, and how it calls them.

use std::path::PathBuf;

use brownout::{
    Criticality, Registry,
    flag::{Flag, Flags},
    registry::fleet::FleetGuard,
    report::Lifecycle,
};
use tower::BoxError;

use crate::{
    client::{Backend, connecting_client, http_client},
    outbox::{Outbox, Replay},
    probes,
    scrape::Scrape,
    settings::{Safeguard, Safeguards, Settings},
    shop::{Dashboard, Profiles, Recommender, Till},
    store::Database,
    upstream::Upstreams,
};

const DASHBOARD: &str = "/api/v1/dashboard";

/// What the shop is built on. Dropping it stops the services, and the payments that are made up for.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) registry: Registry,
    /// Where the shop is in its life, as it says itself.
    pub(crate) process: Lifecycle,
    pub(crate) safeguards: Safeguards,
    /// What the layers have counted.
    pub(crate) scrape: Option<Scrape>,
    pub(crate) upstreams: Upstreams,
    pub(crate) backends: Backends,
    pub(crate) profiles: Profiles,
    pub(crate) recommender: Recommender,
    pub(crate) dashboard: Dashboard,
    /// Whether the model is asked for recommendations.
    pub(crate) ml_recommendations: Flag,
    pub(crate) till: Till,
    pub(crate) outbox: Outbox,
    _replay: Replay,
    /// Keeps the shop in its fleet.
    _fleet: Option<FleetGuard>,
}

/// The services behind the shop, as the shop calls them.
#[derive(Clone, Debug)]
pub(crate) struct Backends {
    pub(crate) recommendations: Backend,
    pub(crate) users: Backend,
    pub(crate) payments: Backend,
    pub(crate) orders: Backend,
    pub(crate) notifications: Backend,
    pub(crate) balance: Backend,
}

impl System {
    /// Starts the services on free ports and connects the shop to them.
    pub(crate) async fn start(
        settings: &Settings,
        safeguards: &Safeguards,
    ) -> Result<Self, BoxError> {
        let database = open_database(settings.data_dir.clone()).await?;
        let registry = Registry::builder().dwell(settings.dwell).build()?;
        let scrape = safeguards
            .has(Safeguard::Metrics)
            .then(|| Scrape::new(&registry))
            .transpose()?;
        let upstreams = Upstreams::start().await?;
        let backends = Backends::connect(&registry, &upstreams, settings, safeguards)?;
        // Strangers have no name for it: nobody outside can tell the shop's own disk from the shop.
        let disk = registry
            .dependency("database")
            .criticality(Criticality::Optional)
            .description("the shop's own copy of its customers")
            .register()?;
        if safeguards.has(Safeguard::Probes) {
            probes::attach(&backends, (&disk, &database), settings.probes)?;
        }
        let flag = Flags::new(&registry)
            .builder("ml_recommendations")
            .dependency(backends.recommendations.dependency());
        let ml_recommendations = (settings.flag)(flag).build()?;
        let recommender =
            Recommender::new(&backends.recommendations, &ml_recommendations, safeguards)?;
        let outbox = Outbox::default();
        let fleet = settings.fleet.as_ref();
        let fleet = fleet.filter(|_| safeguards.has(Safeguard::Sync));
        Ok(Self {
            profiles: Profiles::new(&backends.users, database, safeguards)?,
            dashboard: Dashboard::new(
                &registry,
                &backends,
                &recommender,
                &settings.patience,
                safeguards,
            )?,
            recommender,
            ml_recommendations,
            till: Till::new(&backends.payments, &outbox, safeguards)?,
            _replay: Replay::start(outbox.clone(), backends.payments.clone(), settings.replay),
            outbox,
            _fleet: fleet.map(|fleet| fleet.join(&registry)).transpose()?,
            backends,
            upstreams,
            registry,
            process: Lifecycle::new(),
            scrape,
            safeguards: safeguards.clone(),
        })
    }
}

impl Backends {
    pub(crate) fn all(&self) -> [&Backend; 6] {
        [
            &self.recommendations,
            &self.users,
            &self.payments,
            &self.orders,
            &self.notifications,
            &self.balance,
        ]
    }

    /// Nobody misses recommendations for a while. A shop that does not know its customers can still sell, but people
    /// notice. One that cannot charge has an emergency, however well it hides that from its customers.
    fn connect(
        registry: &Registry,
        upstreams: &Upstreams,
        settings: &Settings,
        safeguards: &Safeguards,
    ) -> Result<Self, BoxError> {
        let recommendations = registry
            .dependency("recommendations")
            .criticality(Criticality::Optional)
            .description("the model that ranks products for a customer")
            .public_name("recommendations")
            .affects(["/api/v1/recommendations", DASHBOARD])
            .register()?;
        let users = registry
            .dependency("users")
            .criticality(Criticality::Important)
            .description("profiles of customers")
            .public_name("users")
            .affects(["/api/v1/users/{id}/profile", DASHBOARD])
            .register()?;
        let payments = registry
            .dependency("payments")
            .criticality(Criticality::Critical)
            .description("charges customers")
            .public_name("payments")
            .affects(["/api/v1/payments"])
            .register()?;

        let of_dashboard = |name, criticality, description| {
            registry
                .dependency(name)
                .criticality(criticality)
                .description(description)
                .public_name(name)
                .affects([DASHBOARD])
                .register()
        };
        let orders = of_dashboard("orders", Criticality::Important, "what was bought before")?;
        let notifications = of_dashboard(
            "notifications",
            Criticality::Optional,
            "what customers should know",
        )?;
        let balance = of_dashboard("balance", Criticality::Important, "what customers have")?;

        let patience = &settings.patience;
        let backend = |dependency, upstream: &crate::upstream::Upstream, client, patience| {
            Backend::new(
                dependency,
                upstream.address(),
                client,
                patience,
                settings,
                safeguards,
            )
        };
        Ok(Self {
            recommendations: backend(
                &recommendations,
                &upstreams.recommendations,
                http_client(),
                patience.recommendations,
            ),
            users: backend(&users, &upstreams.users, http_client(), patience.users),
            payments: backend(
                &payments,
                &upstreams.payments,
                connecting_client(),
                patience.payments,
            ),
            orders: backend(&orders, &upstreams.orders, http_client(), patience.orders),
            notifications: backend(
                &notifications,
                &upstreams.notifications,
                http_client(),
                patience.notifications,
            ),
            balance: backend(
                &balance,
                &upstreams.balance,
                http_client(),
                patience.balance,
            ),
        })
    }
}

/// Opening blocks while the disk does.
async fn open_database(directory: PathBuf) -> Result<Database, BoxError> {
    Ok(tokio::task::spawn_blocking(move || Database::open(&directory)).await??)
}
