//! Pictures of the registry.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::sync::Arc;
use std::time::Duration;

use brownout_registry::{
    CircuitMode, Criticality, DegradationLevel, Order, Registry, Report, ReporterKind, Status,
    SystemHealth,
};
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_picture_shows_everything_sorted_by_name() {
    let registry = Registry::new();
    registry.dependency("zoo").register().unwrap();
    let payments = registry
        .dependency("payments")
        .criticality(Criticality::Critical)
        .public_name("Payments")
        .affects(["/checkout"])
        .register()
        .unwrap();
    let reporter = payments.reporter(ReporterKind::Code, "ledger");
    reporter.report(
        Report::unhealthy("gone")
            .detail("10.0.0.7")
            .ttl(SECOND * 30),
    );
    advance(SECOND * 3).await;
    let id = payments
        .override_circuit(CircuitMode::ObserveOnly, Order::new("ops", "drill", SECOND))
        .unwrap();
    let picture = registry.snapshot();
    assert_eq!(
        (picture.level, picture.raw_level),
        (DegradationLevel::Emergency, DegradationLevel::Emergency)
    );
    assert_eq!(picture.health, SystemHealth::Critical);
    let names: Vec<_> = picture
        .dependencies
        .iter()
        .map(|view| &*view.name)
        .collect();
    assert_eq!(names, ["payments", "zoo"]);
    let view = picture.dependency("payments").unwrap();
    assert_eq!(
        (view.status, view.status_without_traffic),
        (Status::Unhealthy, Status::Unhealthy)
    );
    assert_eq!(view.since.age(), SECOND * 3);
    let report = &view.reports[0];
    assert_eq!(
        (report.kind, &*report.reporter, report.status),
        (ReporterKind::Code, "ledger", Status::Unhealthy)
    );
    assert_eq!(
        (report.message.as_deref(), report.private_detail.as_deref()),
        (Some("gone"), Some("10.0.0.7"))
    );
    assert_eq!(report.last.age(), SECOND * 3);
    assert_eq!(report.until.unwrap().at - report.last.at, SECOND * 30);
    assert_eq!(view.circuit_override.as_ref().unwrap().id, id);
    assert_eq!(picture.overrides.len(), 1);
    assert!(picture.dependency("nobody").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_shared_until_something_changes() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let zoo = registry.dependency("zoo").register().unwrap();
    let reporter = search.reporter(ReporterKind::Code, "one");
    reporter.report(Report::healthy());
    let first = registry.snapshot();
    assert!(Arc::ptr_eq(&first, &registry.snapshot()));
    reporter.report(Report::degraded("slow"));
    let second = registry.snapshot();
    assert!(second.revision > first.revision);
    assert_eq!(
        first.dependency("search").unwrap().status,
        Status::Healthy,
        "the old picture stays as it was"
    );
    assert_eq!(
        second.dependency("search").unwrap().status,
        Status::Degraded
    );
    let index = second
        .dependencies
        .iter()
        .position(|view| &*view.name == zoo.name())
        .unwrap();
    assert!(
        Arc::ptr_eq(&first.dependencies[index], &second.dependencies[index]),
        "only what changed is drawn anew"
    );
}

#[tokio::test(start_paused = true)]
async fn times_in_a_picture_are_at_most_a_second_old() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let reporter = search.reporter(ReporterKind::Code, "one");
    reporter.report(Report::healthy());
    let last = |registry: &Registry| {
        registry.snapshot().dependency("search").unwrap().reports[0]
            .last
            .age()
    };
    assert_eq!(last(&registry), Duration::ZERO);
    advance(SECOND * 60).await;
    reporter.report(Report::healthy());
    assert_eq!(last(&registry), Duration::ZERO);
    advance(SECOND / 2).await;
    reporter.report(Report::healthy());
    assert!(last(&registry) <= SECOND / 2);
    advance(SECOND / 2).await;
    assert_eq!(last(&registry), SECOND / 2);
}

#[tokio::test(start_paused = true)]
async fn a_picture_shows_no_expired_report_and_no_expired_override() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let reporter = search.reporter(ReporterKind::Code, "one");
    reporter.report(Report::degraded("slow").ttl(SECOND));
    search
        .override_status(Status::Unhealthy, Order::new("ops", "drill", SECOND))
        .unwrap();
    assert_eq!(registry.snapshot().overrides.len(), 1);
    advance(SECOND).await;
    let picture = registry.snapshot();
    let view = picture.dependency("search").unwrap();
    assert!(
        view.reports.is_empty() && view.status_override.is_none() && picture.overrides.is_empty()
    );
    assert_eq!(view.status, Status::Healthy);
}
