//! The running shop that the tour visits, with the services behind it.

use std::{future::pending, sync::Arc};

use brownout::{flag::Flag, registry::CircuitState};
use tokio::task::JoinSet;
use tower::BoxError;

use super::{
    answers::{Answer, Answers},
    health::Health,
    outages::{Outage, Service},
    purchases::{Purchase, Purchases},
    visitor::{Crowd, Visitor, Wish},
};
use crate::{
    cli::Ports,
    client::Backend,
    house::{self, Doors},
    settings::{Safeguards, Settings},
    system::{Backends, System},
    upstream::{Ledger, Upstream, Upstreams},
};

/// Everything runs in this process, but the tour asks by real requests.
#[derive(Debug)]
pub(super) struct Stage {
    visitor: Visitor,
    /// Who comes by the control server's port.
    operator: Visitor,
    pub(super) purchases: Purchases,
    system: Arc<System>,
    _shop: JoinSet<()>,
}

/// What one step saw.
#[derive(Debug)]
pub(super) struct Sights {
    recommendations: Sight,
    users: Sight,
    payments: Sight,
    pub(super) health: Health,
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
        let system = Arc::new(System::start(settings, safeguards).await?);
        let doors = Doors::listen(&Ports::ANY).await?;
        let visitor = Visitor::new(&doors.shop.local_addr()?);
        let operator = Visitor::new(&doors.control.local_addr()?);
        let mut shop = JoinSet::new();
        let open = house::keep_open(doors, Arc::clone(&system), pending());
        shop.spawn(async move {
            if let Err(error) = open.await {
                tracing::error!(%error, "the shop closed in the middle of the tour");
            }
        });
        Ok(Self {
            visitor,
            operator,
            purchases: Purchases::default(),
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
        let health = self.health().await;
        let sight = |service, answers| Sight {
            answers,
            calls: self.upstream(service).calls() - before[service as usize],
            circuit: self.backend(service).circuit().state(),
        };
        Ok(Sights {
            recommendations: sight(Service::Recommendations, recommendations),
            users: sight(Service::Users, users),
            payments: sight(Service::Payments, payments),
            health,
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

    /// What the shop says of itself.
    pub(super) async fn health(&self) -> Health {
        Health::ask(&self.visitor, &self.operator).await
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
