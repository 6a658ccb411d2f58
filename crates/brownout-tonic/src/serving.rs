use std::{collections::BTreeMap, error::Error, fmt, sync::Arc};

use brownout::{
    Dependency, Registry,
    registry::{Status, SystemHealth},
    report::{Lifecycle, Phase},
};

use crate::messages::Condition;

/// All that answers are made of.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) registry: Registry,
    pub(crate) process: Lifecycle,
    pub(crate) ready_when: Vec<Dependency>,
    services: BTreeMap<Arc<str>, Vec<Dependency>>,
}

/// A service cannot have this name: it stands for something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTaken(String);

const WHOLE: &str = "";
const LIVENESS: &str = "liveness";
const READINESS: &str = "readiness";

impl State {
    pub(crate) fn new(registry: &Registry, process: &Lifecycle) -> Self {
        Self {
            registry: registry.clone(),
            process: process.clone(),
            ready_when: Vec::new(),
            services: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, name: String, needs: Vec<Dependency>) -> Result<(), NameTaken> {
        if [WHOLE, LIVENESS, READINESS].contains(&name.as_str()) {
            return Err(NameTaken(name));
        }
        self.services.entry(name.into()).or_default().extend(needs);
        Ok(())
    }

    /// How the bearer of this name is, if there is one.
    pub(crate) fn serving(&self, name: &str) -> Option<Condition> {
        let needs = match name {
            WHOLE | LIVENESS => None,
            READINESS => Some(&self.ready_when),
            service => Some(self.services.get(service)?),
        };
        let phase = self.process.phase();
        let serves = phase == Phase::Serving || (name == LIVENESS && phase != Phase::Stopping);
        Some(if !serves {
            Condition::NotServing
        } else if let Some(needs) = needs {
            worst(needs)
        } else if name == WHOLE && self.registry.health() == SystemHealth::Critical {
            Condition::NotServing
        } else {
            Condition::Serving
        })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let services = self.services.keys().map(AsRef::as_ref);
        [WHOLE, LIVENESS, READINESS].into_iter().chain(services)
    }
}

/// Whoever is asked here is sent requests or not by the answer, so circuits and observed calls have no say.
fn worst(needs: &[Dependency]) -> Condition {
    let mut serving = Condition::Serving;
    for dependency in needs {
        match dependency.status_without_traffic() {
            Status::Unhealthy => return Condition::NotServing,
            Status::Unknown => serving = Condition::Unknown,
            Status::Healthy | Status::Degraded => {}
        }
    }
    serving
}

impl fmt::Display for NameTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a service cannot be named {:?}: by that name clients ask for the server itself",
            self.0
        )
    }
}

impl Error for NameTaken {}
