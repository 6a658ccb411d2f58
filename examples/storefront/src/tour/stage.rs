//! The running shop that the tour visits, with the services behind it.

use brownout::{
    flag::Flag,
    registry::{CircuitState, Driver},
};
use tokio::task::JoinSet;
use tower::BoxError;

use super::{
    answers::{Answer, Answers},
    outages::{Outage, Service},
    purchases::{Purchase, Purchases},
    visitor::{Crowd, Visitor, Wish},
};
use crate::{
    client::Backend,
    server,
    settings::{Safeguards, Settings},
    shop,
    system::{Backends, System},
    upstream::{Ledger, Upstream, Upstreams},
};

/// Everything runs in this process, but the tour asks by real requests.
#[derive(Debug)]
pub(super) struct Stage {
    visitor: Visitor,
    pub(super) purchases: Purchases,
    system: System,
    _driver: Driver,
    _shop: JoinSet<()>,
}

/// What one step saw.
#[derive(Debug)]
pub(super) struct Sights {
    recommendations: Sight,
    users: Sight,
    payments: Sight,
    pub(super) level: String,
}

/// What it saw of one service.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) answers: Answers,
    /// Calls that the service saw.
    pub(super) calls: u64,
    pub(super) circuit: CircuitState,
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
            purchases: Purchases::default(),
            _driver: system.registry.drive(),
            system,
            _shop: shop,
        })
    }

    pub(super) fn upstream(&self, service: Service) -> &Upstream {
        match service {
            Service::Recommendations => &self.system.upstreams.recommendations,
            Service::Users => &self.system.upstreams.users,
            Service::Payments => &self.system.upstreams.payments,
        }
    }

    pub(super) fn backend(&self, service: Service) -> &Backend {
        match service {
            Service::Recommendations => &self.system.backends.recommendations,
            Service::Users => &self.system.backends.users,
            Service::Payments => &self.system.backends.payments,
        }
    }

    /// The services, and how the shop calls them.
    pub(super) fn services(&self) -> (&Upstreams, &Backends) {
        (&self.system.upstreams, &self.system.backends)
    }

    /// The flag of the model.
    pub(super) fn flag(&self) -> &Flag {
        &self.system.ml_recommendations
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.system.upstreams.ledger
    }

    /// Customers come for everything at the same time. What is broken in `outage` they ask for in all the ways that
    /// there are tiers for.
    pub(super) async fn look(
        &mut self,
        crowd: Crowd,
        outage: Option<&Outage>,
    ) -> Result<Sights, BoxError> {
        let before = Service::ALL.map(|service| self.upstream(service).calls());
        let pages = |service: Service| {
            let broken = outage.is_some_and(|outage| outage.breaks(service));
            let pages = service.pages(broken).iter().cycle();
            pages
                .take(crowd.size())
                .map(|page| Wish::Page(page))
                .collect()
        };
        let purchases = (0..crowd.size()).map(|_| self.purchases.next());
        let purchases = purchases.collect::<Result<Vec<_>, _>>()?;
        let payments = purchases.iter().map(Purchase::wish).collect();
        let [recommendations, users, payments] = self
            .ask_for_all(
                crowd,
                [
                    pages(Service::Recommendations),
                    pages(Service::Users),
                    payments,
                ],
            )
            .await;
        for (purchase, answer) in purchases.iter().zip(payments.iter()) {
            self.purchases.answered(purchase, answer);
        }
        let level = self.health("level").await;
        let sight = |service, answers| Sight {
            answers,
            calls: self.upstream(service).calls() - before[service as usize],
            circuit: self.backend(service).circuit().state(),
        };
        Ok(Sights {
            recommendations: sight(Service::Recommendations, recommendations),
            users: sight(Service::Users, users),
            payments: sight(Service::Payments, payments),
            level,
        })
    }

    async fn ask_for_all(&self, crowd: Crowd, wishes: [Vec<Wish>; 3]) -> [Answers; 3] {
        let [first, second, third] = wishes.map(|wishes| self.visitor.ask_all(crowd, wishes));
        tokio::join!(first, second, third).into()
    }

    /// Asks for something that is no page of the script.
    pub(super) async fn ask(&self, wish: Wish) -> Answer {
        self.visitor.ask(wish).await
    }

    /// Asks for all of it.
    pub(super) async fn ask_all(&self, crowd: Crowd, wishes: Vec<Wish>) -> Answers {
        self.visitor.ask_all(crowd, wishes).await
    }

    /// Pays again for what was paid before, by the same key, so many times at once.
    pub(super) async fn pay_again(&mut self, purchase: &Purchase, times: usize) -> Answers {
        let wishes = vec![purchase.wish(); times];
        let answers = self.visitor.ask_all(Crowd::Together(times), wishes).await;
        for answer in answers.iter() {
            self.purchases.answered(purchase, answer);
        }
        answers
    }

    /// What `/health` says under this name.
    pub(super) async fn health(&self, field: &str) -> String {
        let said = self.visitor.ask(Wish::Page("/health")).await.says(field);
        said.unwrap_or_else(|| "not told".to_owned())
    }
}

impl Sights {
    pub(super) fn of(&self, service: Service) -> &Sight {
        match service {
            Service::Recommendations => &self.recommendations,
            Service::Users => &self.users,
            Service::Payments => &self.payments,
        }
    }
}
