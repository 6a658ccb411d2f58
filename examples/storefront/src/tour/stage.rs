//! The running shop that the tour visits, with the services behind it.

use std::{future::pending, sync::Arc, time::Duration};

use brownout::{Registry, flag::Flag, registry::SystemHealth};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::BoxError;

use super::{
    answers::{Answer, Answers},
    details::Details,
    ears::Ears,
    health::{HEALTH, Health},
    machine::Machine,
    metrics::Page,
    outages::{Outage, Service},
    purchases::{Purchase, Purchases},
    sights::{Sight, Sights},
    steps::SOON,
    visitor::{Crowd, Visitor, Wish},
};
use crate::{
    cli::Ports,
    client::Backend,
    house::{self, Doors},
    settings::{Safeguards, Settings},
    system::{Backends, System},
    upstream::{Fault, Ledger, Upstream, Upstreams},
};

/// Everything runs in this process, but the tour asks by real requests.
#[derive(Debug)]
pub(super) struct Stage {
    visitor: Visitor,
    /// Who comes by the control server's port.
    operator: Visitor,
    machine: Machine,
    pub(super) purchases: Purchases,
    system: Arc<System>,
    _shop: JoinSet<()>,
}

impl Stage {
    /// Opens the shop on a free port.
    pub(super) async fn set(
        settings: &Settings,
        safeguards: &Safeguards,
        ears: &Ears,
    ) -> Result<Self, BoxError> {
        let system = Arc::new(System::start(settings, safeguards).await?);
        let doors = Doors::listen(&Ports::ANY).await?;
        let ears = ears.in_front_of(&system.upstreams);
        let visitor = Visitor::new(&doors.shop.local_addr()?, &ears);
        let operator = Visitor::new(&doors.control.local_addr()?, &ears);
        let machine = Machine::new(&doors.grpc.local_addr()?, &ears)?;
        let mut shop = JoinSet::new();
        let open = house::keep_open(doors, Arc::clone(&system), pending());
        shop.spawn(async move {
            if let Err(error) = open.await {
                tracing::error!(%error, "the shop closed in the middle of the tour");
            }
        });
        first_probes(&system.registry).await;
        Ok(Self {
            visitor,
            operator,
            machine,
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
        Health::ask(&self.visitor, &self.operator, &self.machine).await
    }

    /// What operators are told of that.
    pub(super) async fn details(&self) -> Details {
        Details::read(&self.operator.ask(Wish::Page(HEALTH)).await)
    }

    /// The same as soon as it is so, or when it has had its time.
    pub(super) async fn details_when(
        &self,
        within: Duration,
        so: impl Fn(&Details) -> bool,
    ) -> Details {
        let start = Instant::now();
        loop {
            let seen = self.details().await;
            if so(&seen) || seen.is_silent() || start.elapsed() >= within {
                return seen;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// What the shop has counted.
    pub(super) async fn metrics(&self) -> Page {
        Page::read(&self.operator.ask(Wish::Page(Page::PATH)).await)
    }

    /// Who asks by gRPC.
    pub(super) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// How many calls all services have seen.
    pub(super) fn calls(&self) -> u64 {
        let services = self.system.upstreams.all();
        services.into_iter().map(Upstream::calls).sum()
    }

    /// Makes all services fail, or work again.
    pub(super) async fn break_all(&self, fault: Fault) -> Result<(), BoxError> {
        for service in self.system.upstreams.all() {
            service.set_fault(fault).await?;
        }
        Ok(())
    }
}

/// What is broken before a service was ever probed would be taken for broken until it is probed again.
async fn first_probes(registry: &Registry) {
    let start = Instant::now();
    while registry.health() != SystemHealth::Healthy && start.elapsed() < SOON {
        sleep(Duration::from_millis(20)).await;
    }
}
