//! What a step of the tour saw.

use brownout::registry::CircuitState;

use super::{answers::Answers, health::Health, outages::Service};

/// What one step saw.
#[derive(Debug)]
pub(super) struct Sights {
    pub(super) recommendations: Sight,
    pub(super) users: Sight,
    pub(super) payments: Sight,
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

impl Sights {
    pub(super) fn of(&self, service: Service) -> &Sight {
        match service {
            Service::Recommendations => &self.recommendations,
            Service::Users => &self.users,
            Service::Payments => &self.payments,
        }
    }
}
