//! How a dependency's status follows from what is reported.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::time::Duration;

use brownout_registry::{
    CircuitMode, Criticality, DegradationLevel, Dependency, EventKind, Order, Probe, Registry,
    Report, ReporterKind, Status, SystemHealth,
};
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);

fn dependency() -> Dependency {
    Registry::new().dependency("search").register().unwrap()
}

fn order(ttl: Duration) -> Order {
    Order::new("ops", "drill", ttl)
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_nobody_reports_on_is_healthy() {
    let search = dependency();
    assert_eq!(search.status(), Status::Healthy);
    assert_eq!(search.registry().health(), SystemHealth::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_with_a_probe_is_unknown_until_the_first_observation() {
    let search = dependency();
    search
        .probe(Probe::new(|| async { Ok::<(), String>(()) }))
        .unwrap();
    assert_eq!(search.status(), Status::Unknown);
    assert_eq!(search.registry().health(), SystemHealth::Degraded);
    let reporter = search.reporter(ReporterKind::Traffic, "traffic");
    reporter.report(Report::healthy());
    assert_eq!(search.status(), Status::Healthy);
    drop(reporter);
    assert_eq!(search.status(), Status::Healthy, "it has been observed");
}

#[tokio::test(start_paused = true)]
async fn the_worst_report_counts() {
    let search = dependency();
    let reporters: Vec<_> = [
        Status::Healthy,
        Status::Unhealthy,
        Status::Degraded,
        Status::Unknown,
    ]
    .into_iter()
    .map(|status| {
        let reporter = search.reporter(ReporterKind::Code, "part");
        reporter.report(Report::new(status));
        reporter
    })
    .collect();
    assert_eq!(search.status(), Status::Unhealthy);
    reporters[1].report(Report::healthy());
    assert_eq!(search.status(), Status::Degraded);
    reporters[2].report(Report::healthy());
    assert_eq!(search.status(), Status::Unknown);
    reporters[3].report(Report::healthy());
    assert_eq!(search.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_of_a_reporter_withdraws_what_it_said() {
    let search = dependency();
    let reporter = search.reporter(ReporterKind::Code, "one");
    let clone = reporter.clone();
    reporter.report(Report::unhealthy("gone"));
    drop(reporter);
    assert_eq!(
        search.status(),
        Status::Unhealthy,
        "a clone still stands by it"
    );
    drop(clone);
    assert_eq!(search.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn an_expired_report_is_never_served() {
    let search = dependency();
    let reporter = search.reporter(ReporterKind::Code, "one");
    reporter.report(Report::unhealthy("gone").ttl(SECOND));
    advance(SECOND.saturating_sub(Duration::from_nanos(1))).await;
    assert_eq!(search.status(), Status::Unhealthy);
    advance(Duration::from_nanos(1)).await;
    assert_eq!(search.status(), Status::Healthy);
    assert_eq!(
        search
            .registry()
            .snapshot()
            .dependency("search")
            .unwrap()
            .reports
            .len(),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_report_without_any_time_to_live_is_never_served() {
    let search = dependency();
    let reporter = search.reporter(ReporterKind::Code, "one");
    reporter.report(Report::unhealthy("gone").ttl(Duration::ZERO));
    assert_eq!(search.status(), Status::Healthy);
    reporter.report(
        Report::unhealthy("gone")
            .ttl(Duration::ZERO)
            .then(Status::Degraded),
    );
    assert_eq!(search.status(), Status::Degraded);
    assert_eq!(
        search.registry().level(),
        DegradationLevel::Full,
        "not for an instant"
    );
}

#[tokio::test(start_paused = true)]
async fn the_longest_time_to_live_does_not_overflow() {
    let search = dependency();
    let reporter = search.reporter(ReporterKind::Code, "one");
    reporter.report(Report::degraded("slow").ttl(Duration::MAX));
    advance(SECOND * 365 * 24 * 3600).await;
    assert_eq!(search.status(), Status::Degraded);
}

#[tokio::test(start_paused = true)]
async fn a_report_decays_into_what_it_names() {
    let search = dependency();
    let reporter = search.reporter(ReporterKind::Circuit, "circuit");
    reporter.report(
        Report::unhealthy("circuit open")
            .ttl(SECOND)
            .then(Status::Degraded),
    );
    assert_eq!(search.status(), Status::Unhealthy);
    advance(SECOND).await;
    assert_eq!(search.status(), Status::Degraded);
    advance(SECOND * 3600).await;
    assert_eq!(
        search.status(),
        Status::Degraded,
        "decayed, it does not expire"
    );
    reporter.report(Report::healthy());
    assert_eq!(search.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn renewing_a_report_prolongs_it() {
    let search = dependency();
    let reporter = search.reporter(ReporterKind::Traffic, "traffic");
    for _ in 0..10 {
        reporter.report(Report::degraded("slow").ttl(SECOND * 3));
        advance(SECOND * 2).await;
        assert_eq!(search.status(), Status::Degraded);
    }
    advance(SECOND).await;
    assert_eq!(search.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_report_with_a_shorter_time_to_live_replaces_a_longer_one() {
    let search = dependency();
    let reporter = search.reporter(ReporterKind::Traffic, "traffic");
    reporter.report(Report::degraded("slow").ttl(SECOND * 100));
    reporter.report(Report::degraded("slow").ttl(SECOND));
    advance(SECOND).await;
    assert_eq!(search.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_lasting_report_replaces_one_that_would_expire() {
    let search = dependency();
    let reporter = search.reporter(ReporterKind::Code, "one");
    reporter.report(Report::new(Status::Degraded).ttl(SECOND));
    reporter.report(Report::new(Status::Degraded));
    advance(SECOND * 10).await;
    assert_eq!(search.status(), Status::Degraded);
    reporter.report(Report::new(Status::Degraded).ttl(SECOND));
    advance(SECOND).await;
    assert_eq!(search.status(), Status::Healthy, "and the other way round");
}

#[tokio::test(start_paused = true)]
async fn a_report_with_an_old_number_is_ignored() {
    let search = dependency();
    let reporter = search.reporter(ReporterKind::Circuit, "circuit");
    reporter.report(Report::healthy().sequence(2));
    reporter.report(Report::unhealthy("circuit open").sequence(1));
    assert_eq!(search.status(), Status::Healthy);
    reporter.report(Report::unhealthy("circuit open").sequence(3));
    assert_eq!(search.status(), Status::Unhealthy);
    reporter.report(Report::healthy());
    assert_eq!(
        search.status(),
        Status::Healthy,
        "a report without a number is always taken"
    );
    reporter.report(Report::unhealthy("circuit open").sequence(2));
    assert_eq!(
        search.status(),
        Status::Healthy,
        "and does not reset the number"
    );
}

#[tokio::test(start_paused = true)]
async fn the_status_without_traffic_knows_no_report_of_a_circuit_or_of_observed_calls() {
    let search = dependency();
    let circuit = search.reporter(ReporterKind::Circuit, "circuit");
    let traffic = search.reporter(ReporterKind::Traffic, "traffic");
    let code = search.reporter(ReporterKind::Code, "code");
    circuit.report(Report::degraded("circuit half-open"));
    traffic.report(Report::unhealthy("all calls fail"));
    assert_eq!(
        (search.status(), search.status_without_traffic()),
        (Status::Unhealthy, Status::Healthy)
    );
    code.report(Report::degraded("slow"));
    assert_eq!(
        (search.status(), search.status_without_traffic()),
        (Status::Unhealthy, Status::Degraded)
    );
    search
        .override_status(Status::Unhealthy, order(SECOND))
        .unwrap();
    assert_eq!(search.status_without_traffic(), Status::Unhealthy);
    advance(SECOND).await;
    assert_eq!(search.status_without_traffic(), Status::Degraded);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_is_no_first_observation_to_those_who_do_not_ask_circuits() {
    let search = dependency();
    search
        .probe(Probe::new(|| async { Ok::<(), String>(()) }))
        .unwrap();
    search
        .reporter(ReporterKind::Circuit, "circuit")
        .report(Report::healthy());
    let circuit = search.reporter(ReporterKind::Circuit, "circuit");
    circuit.report(Report::healthy());
    assert_eq!(
        (search.status(), search.status_without_traffic()),
        (Status::Healthy, Status::Unknown)
    );
}

#[tokio::test(start_paused = true)]
async fn health_is_critical_only_while_something_critical_is_unhealthy() {
    let registry = Registry::new();
    let critical = registry
        .dependency("a")
        .criticality(Criticality::Critical)
        .register()
        .unwrap();
    let optional = registry
        .dependency("b")
        .criticality(Criticality::Optional)
        .register()
        .unwrap();
    let (one, two) = (
        critical.reporter(ReporterKind::Code, "a"),
        optional.reporter(ReporterKind::Code, "b"),
    );
    two.report(Report::unhealthy("gone"));
    assert_eq!(registry.health(), SystemHealth::Degraded);
    one.report(Report::degraded("slow"));
    assert_eq!(registry.health(), SystemHealth::Degraded);
    one.report(Report::unhealthy("gone"));
    assert_eq!(registry.health(), SystemHealth::Critical);
    drop((one, two));
    assert_eq!(
        registry.health(),
        SystemHealth::Healthy,
        "health knows no dwell"
    );
}

#[tokio::test(start_paused = true)]
async fn texts_are_cut_off_at_a_characters_boundary() {
    let search = dependency();
    let reporter = search.reporter(ReporterKind::Code, &"ü".repeat(100));
    reporter.report(Report::degraded("€".repeat(200)).detail("x".repeat(1000)));
    let snapshot = search.registry().snapshot();
    let report = &snapshot.dependency("search").unwrap().reports[0];
    assert_eq!(report.message.as_deref().unwrap(), "€".repeat(85));
    assert_eq!(report.private_detail.as_deref().unwrap().len(), 256);
    assert_eq!(&*report.reporter, "ü".repeat(64));
}

#[test]
fn a_registry_works_without_a_runtime() {
    let search = dependency();
    let reporter = search.reporter(ReporterKind::Code, "one");
    reporter.report(Report::unhealthy("gone").ttl(SECOND * 3600));
    assert_eq!(search.status(), Status::Unhealthy);
    assert!(!search.registry().drive().is_running());
}

/// The message of the last change of status.
fn last_message(registry: &Registry) -> Option<String> {
    registry
        .recent_events()
        .iter()
        .rev()
        .find_map(|event| match &event.kind {
            EventKind::StatusChanged { message, .. } => Some(message.as_deref().map(str::to_owned)),
            _ => None,
        })?
}

#[tokio::test(start_paused = true)]
async fn a_change_of_status_is_explained_by_the_first_reporter_that_says_so_in_words() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let [silent, circuit, first, second] = [
        (ReporterKind::Code, "silent"),
        (ReporterKind::Circuit, "circuit"),
        (ReporterKind::Code, "first"),
        (ReporterKind::Code, "second"),
    ]
    .map(|(kind, name)| search.reporter(kind, name));
    silent.report(Report::new(Status::Unhealthy));
    assert_eq!(last_message(&registry), None);
    silent.report(Report::healthy());
    circuit.report(
        Report::unhealthy("circuit open")
            .ttl(SECOND)
            .then(Status::Degraded),
    );
    assert_eq!(last_message(&registry).as_deref(), Some("circuit open"));
    second.report(Report::unhealthy("second"));
    first.report(Report::unhealthy("first"));
    silent.report(Report::degraded("not the worst"));
    search
        .override_status(Status::Healthy, order(SECOND * 2))
        .unwrap();
    assert_eq!(last_message(&registry).as_deref(), Some("overridden"));
    advance(SECOND * 2).await;
    assert_eq!(
        last_message(&registry).as_deref(),
        Some("first"),
        "the circuit's report has decayed since, and the override ended"
    );
    drop((first, second));
    assert_eq!(search.status(), Status::Degraded);
    assert_eq!(last_message(&registry).as_deref(), Some("not the worst"));
    drop(silent);
    // Under a mode that caps them, what circuits say explains what it counts as.
    circuit.report(Report::healthy());
    search
        .override_circuit(CircuitMode::ObserveOnly, order(SECOND * 60))
        .unwrap();
    circuit.report(Report::unhealthy("would be open"));
    assert_eq!(search.status(), Status::Degraded);
    assert_eq!(last_message(&registry).as_deref(), Some("would be open"));
}
