//! Our health registry: what is read on every request, and what reporters do to it.

use brownout_registry::{Dependency, Registry, Report, Reporter, ReporterKind, Status};

use super::backend::configured;
use super::{Column, Subject};
use crate::drive::{Drive, OpDrive};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::operation("health-level", Column::Brownout, level),
    Subject::operation("health-status", Column::Brownout, status),
    Subject::operation("report-unchanged", Column::Brownout, unchanged),
    Subject::operation("report-changed-10", Column::Brownout, || changed(10)),
    Subject::operation("report-changed-100000", Column::Brownout, || {
        changed(100_000)
    }),
];

fn level() -> Box<dyn Drive> {
    let registry = of(3);
    OpDrive::boxed(move || registry.level())
}

fn status() -> Box<dyn Drive> {
    let dependency = inventory(&of(3));
    OpDrive::boxed(move || dependency.status())
}

fn unchanged() -> Box<dyn Drive> {
    let reporter = reporter(&of(3));
    OpDrive::boxed(move || reporter.report(Report::healthy()))
}

// Each report turns the dependency over, so each one changes a status and the counts behind the system's health.
fn changed(dependencies: u32) -> Box<dyn Drive> {
    let reporter = reporter(&of(dependencies));
    let mut well = true;
    OpDrive::boxed(move || {
        well = !well;
        reporter.report(Report::new(if well {
            Status::Healthy
        } else {
            Status::Degraded
        }));
    })
}

fn of(dependencies: u32) -> Registry {
    // A seed, so that every process makes the same choices.
    let registry = configured(Registry::builder().seed(1).build());
    for number in 1..dependencies {
        configured(
            registry
                .dependency(format!("dependency-{number}"))
                .register(),
        );
    }
    registry
}

fn inventory(registry: &Registry) -> Dependency {
    configured(registry.dependency("inventory").register())
}

fn reporter(registry: &Registry) -> Reporter {
    let reporter = inventory(registry).reporter(ReporterKind::Code, "bench");
    reporter.report(Report::healthy());
    reporter
}
