//! Our reporting layers: the health paths, what they cost other requests, collected marks, and passive reports.

use brownout::report::{DegradedLayer, HealthLayer, ReportLayer};
use brownout_registry::{Dependency, Registry};
use tower_layer::Layer;

use super::backend::{Answering, configured};
use super::exchange::{Exchange, Page};
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("http", Column::Floor, || {
        ServiceDrive::boxed(Exchange::get("/", Page))
    }),
    Subject::service("health-livez", Column::Brownout, || health("/livez")),
    Subject::service("health-readyz", Column::Brownout, || health("/readyz")),
    Subject::service("health-word", Column::Brownout, || health("/health")),
    Subject::service("health-details", Column::Brownout, details),
    Subject::service("health-passed", Column::Brownout, || health("/")),
    Subject::service("degraded-passed", Column::Brownout, || {
        ServiceDrive::boxed(Exchange::get("/", DegradedLayer::new().layer(Page)))
    }),
    Subject::service("report-success", Column::Brownout, reported),
];

/// What a stranger is told, and what another request pays for the layer being there.
fn health(path: &'static str) -> Box<dyn Drive> {
    let (registry, inventory) = three_dependencies();
    let layer = HealthLayer::new(&registry).ready_when(&inventory);
    ServiceDrive::boxed(Exchange::get(path, layer.layer(Page)))
}

/// What somebody is told who may know everything.
fn details() -> Box<dyn Drive> {
    let (registry, _) = three_dependencies();
    let layer = HealthLayer::new(&registry).authorise(|_| true);
    ServiceDrive::boxed(Exchange::get("/health", layer.layer(Page)))
}

fn reported() -> Box<dyn Drive> {
    let (_, inventory) = three_dependencies();
    ServiceDrive::boxed(ReportLayer::new(&inventory).for_results().layer(Answering))
}

// The peer's health check is given the same three.
fn three_dependencies() -> (Registry, Dependency) {
    let registry = configured(Registry::builder().seed(1).build());
    let [_, _, inventory] = ["payments", "recommendations", "inventory"]
        .map(|name| configured(registry.dependency(name).register()));
    (registry, inventory)
}
