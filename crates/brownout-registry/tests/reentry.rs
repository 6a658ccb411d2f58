//! User code that calls back into the registry, threads that meet in it, and what a report costs.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use brownout_registry::{
    Counts, Criticality, DegradationLevel, LevelPolicy, Registry, Report, Reporter, ReporterKind,
    StandardPolicy, Status, SystemHealth,
};
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_policy_that_calls_back_does_not_deadlock_and_what_it_reports_is_judged() {
    let handle: Arc<OnceLock<Reporter>> = Arc::default();
    let inner = Arc::clone(&handle);
    let registry = Registry::builder()
        .level_policy(move |counts: &Counts| {
            if let Some(reporter) = inner.get() {
                let registry = reporter.dependency().registry();
                let _ = (
                    registry.level(),
                    registry.snapshot(),
                    registry.health(),
                    registry.recent_events(),
                );
                reporter.report(Report::unhealthy("said by the policy"));
            }
            StandardPolicy.level(counts)
        })
        .build()
        .unwrap();
    let told = registry
        .dependency("told")
        .criticality(Criticality::Critical)
        .register()
        .unwrap();
    let other = registry
        .dependency("other")
        .register()
        .unwrap()
        .reporter(ReporterKind::Code, "test");
    handle
        .set(told.reporter(ReporterKind::Code, "policy"))
        .unwrap();
    other.report(Report::unhealthy("gone").ttl(SECOND));
    assert_eq!(told.status(), Status::Unhealthy);
    assert_eq!(registry.level(), DegradationLevel::Emergency);
    advance(SECOND).await;
    assert_eq!(registry.level(), DegradationLevel::Emergency);
    assert_eq!(other.dependency().status(), Status::Healthy);
    assert_eq!(registry.health(), SystemHealth::Critical);
}

#[test]
fn threads_that_report_and_read_agree_in_the_end() {
    let registry = Registry::builder()
        .dwell(Duration::ZERO)
        // A policy of one's own, so that threads meet while it is asked.
        .level_policy(|counts: &Counts| StandardPolicy.level(counts))
        .build()
        .unwrap();
    let reporters: Vec<_> = (0..4)
        .map(|number| {
            let dependency = registry
                .dependency(format!("d{number}"))
                .criticality(Criticality::Important);
            dependency
                .register()
                .unwrap()
                .reporter(ReporterKind::Code, "test")
        })
        .collect();
    std::thread::scope(|scope| {
        for reporter in &reporters {
            let registry = &registry;
            scope.spawn(move || {
                for round in 0..2_000_u32 {
                    let status = Status::ALL[(round % 4) as usize];
                    let report = Report::new(status);
                    reporter.report(if round % 7 == 0 {
                        report.ttl(Duration::from_micros(50))
                    } else {
                        report
                    });
                    let _ = (
                        registry.level(),
                        registry.health(),
                        reporter.dependency().status(),
                    );
                    if round % 100 == 0 {
                        let _ = registry.snapshot();
                    }
                }
                reporter.report(Report::unhealthy("gone"));
            });
        }
    });
    assert_eq!(registry.level(), DegradationLevel::Minimal);
    for reporter in &reporters {
        reporter.report(Report::healthy());
    }
    assert_eq!(registry.level(), DegradationLevel::Full);
    assert_eq!(registry.health(), SystemHealth::Healthy);
}

#[test]
fn reports_with_numbers_from_racing_threads_leave_the_newest() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    for _ in 0..200 {
        let reporter = search.reporter(ReporterKind::Circuit, "circuit");
        std::thread::scope(|scope| {
            scope.spawn(|| reporter.report(Report::unhealthy("circuit open").sequence(1)));
            scope.spawn(|| reporter.report(Report::healthy().sequence(2)));
        });
        assert_eq!(search.status(), Status::Healthy);
    }
}

#[test]
fn a_policy_that_reports_to_another_registry_is_heard_there() {
    let policy = |counts: &Counts| StandardPolicy.level(counts);
    let whole = Registry::builder().level_policy(policy).build().unwrap();
    let region = whole
        .dependency("region")
        .criticality(Criticality::Critical)
        .register()
        .unwrap();
    let up = region.reporter(ReporterKind::Code, "region");
    let part = Registry::builder()
        .level_policy(move |counts: &Counts| {
            if counts.of_status(Status::Unhealthy) > 0 {
                up.report(Report::unhealthy("a part is gone"));
            }
            StandardPolicy.level(counts)
        })
        .build()
        .unwrap();
    let search = part.dependency("search").register().unwrap();
    let reporter = search.reporter(ReporterKind::Code, "test");
    reporter.report(Report::unhealthy("gone"));
    assert_eq!(region.status(), Status::Unhealthy);
    assert_eq!(whole.health(), SystemHealth::Critical);
    assert_eq!(whole.level(), DegradationLevel::Emergency);
}

#[test]
fn a_change_of_status_costs_the_same_whatever_the_number_of_reporters() {
    // Real time, since the cost is the claim; the fault this guards against is a factor of thousands.
    let cost = |reporters: usize| {
        let registry = Registry::new();
        let search = registry.dependency("search").register().unwrap();
        let silent: Vec<_> = (0..reporters)
            .map(|_| {
                let reporter = search.reporter(ReporterKind::Code, "test");
                reporter.report(Report::healthy());
                reporter
            })
            .collect();
        let last = search.reporter(ReporterKind::Code, "last");
        let start = std::time::Instant::now();
        for _ in 0..100 {
            last.report(Report::new(Status::Unhealthy));
            last.report(Report::healthy());
        }
        let elapsed = start.elapsed();
        drop(silent);
        elapsed
    };
    let _warm = cost(10);
    let (few, many) = (cost(10), cost(20_000));
    assert!(many < few * 50, "{few:?} with 10, {many:?} with 20,000");
}
