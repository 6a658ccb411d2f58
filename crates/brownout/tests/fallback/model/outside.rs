//! What happens to a chain from outside: people, switches, other reporters.

use std::{pin::pin, time::Duration};

use brownout::{
    Dependency, Registry,
    fallback::{Chain, SwitchError},
    registry::{self, Criticality, Report, ReporterKind},
};
use tokio::time::{Instant, sleep_until};

use super::{
    DEPENDENCIES, NAMES,
    case::{Order, Reporter},
};
use crate::common::ms;

pub(super) struct Outside {
    pub(super) registry: Registry,
    /// The three, and one of which nobody says anything.
    pub(super) dependencies: Vec<Dependency>,
    pub(super) chain: Option<Chain>,
    circuits: Vec<registry::Reporter>,
    code: Vec<registry::Reporter>,
    /// Those to come, and when.
    orders: Vec<(Instant, Order)>,
}

impl Outside {
    pub(super) fn new() -> Self {
        let registry = Registry::builder()
            .dwell(Duration::ZERO)
            .seed(1)
            .build()
            .unwrap();
        let named = |name| {
            let criticality = match name {
                "copies" => Criticality::Optional,
                _ => Criticality::Important,
            };
            let dependency = registry.dependency(name).criticality(criticality);
            dependency.public_name(name).register().unwrap()
        };
        let dependencies: Vec<_> = DEPENDENCIES
            .into_iter()
            .chain(["untouched"])
            .map(named)
            .collect();
        let reporters = |kind| {
            let reporter = |it: &Dependency| it.reporter(kind, "somebody");
            dependencies.iter().map(reporter).collect()
        };
        Self {
            circuits: reporters(ReporterKind::Circuit),
            code: reporters(ReporterKind::Code),
            registry,
            dependencies,
            chain: None,
            orders: Vec::new(),
        }
    }

    pub(super) fn expect(&mut self, after: u64, order: Order) {
        self.orders.push((Instant::now() + ms(after), order));
        self.orders.sort_by_key(|(at, _)| *at);
    }

    /// Runs the future, and meanwhile what happens outside.
    pub(super) async fn until<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        while let Some((at, order)) = self.orders.first().copied() {
            tokio::select! {
                biased;
                output = &mut future => return output,
                () = sleep_until(at) => {}
            }
            self.orders.remove(0);
            self.carry_out(order);
        }
        future.await
    }

    fn carry_out(&self, order: Order) {
        let by = |ttl| registry::Order::new("kim", "drill", ms(ttl));
        match order {
            Order::Switch(tier, on) => self.switch(NAMES[tier + 1], on),
            Order::Status(of, to, ttl) => {
                self.dependencies[of].override_status(to, by(ttl)).unwrap();
            }
            Order::Level(to, ttl) => {
                self.registry.override_level(to, by(ttl)).unwrap();
            }
            Order::Report(on, Reporter::Circuit, says) => {
                self.circuits[on].report(Report::new(says));
            }
            Order::Report(on, Reporter::Code, says) => self.code[on].report(Report::new(says)),
        }
    }

    fn switch(&self, tier: &str, on: bool) {
        let Some(chain) = &self.chain else { return };
        let switched = if on {
            chain.switch_on(tier)
        } else {
            chain.switch_off(tier)
        };
        match switched {
            Ok(()) | Err(SwitchError::Last(_)) => {}
            Err(SwitchError::Unknown { tiers, .. }) => assert!(!tiers.contains(&tier)),
            Err(other) => panic!("{other}"),
        }
    }
}
