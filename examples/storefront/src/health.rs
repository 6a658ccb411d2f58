//! How the shop is, for whoever asks: orchestrators, dashboards, and people.

use brownout::report::HealthLayer;

use crate::system::System;

/// `/livez`, `/readyz`, `/startupz` and `/health`, in one word: what customers may know.
///
/// Readiness needs none of the services behind the shop. All replicas share them, and each has something to say while they
/// are down.
pub(crate) fn for_strangers(system: &System) -> HealthLayer {
    HealthLayer::new(&system.registry)
        .process(&system.process)
        .service_id(env!("CARGO_PKG_NAME"))
        .release_id(env!("CARGO_PKG_VERSION"))
}

/// The same, with each dependency by its name and what is said of it. Who comes by the control server's port is an
/// operator: it listens on loopback, and [takes no request of another site's page](crate::control).
pub(crate) fn for_operators(system: &System) -> HealthLayer {
    for_strangers(system).authorise(|_| true)
}
