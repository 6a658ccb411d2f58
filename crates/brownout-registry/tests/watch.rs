//! Following level, health and revision.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::time::Duration;

use brownout_registry::{
    Criticality, DegradationLevel, Registry, Report, ReporterKind, Status, SystemHealth,
};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_watch_sees_expiries_on_time_without_a_driver() {
    let registry = Registry::new();
    let payments = registry
        .dependency("payments")
        .criticality(Criticality::Critical)
        .register()
        .unwrap();
    let reporter = payments.reporter(ReporterKind::Code, "one");
    let mut watch = registry.watch();
    let start = Instant::now();
    reporter.report(
        Report::unhealthy("gone")
            .ttl(SECOND * 10)
            .then(Status::Degraded),
    );
    let view = watch.changed().await.unwrap();
    assert_eq!(
        (view.level, view.health),
        (DegradationLevel::Emergency, SystemHealth::Critical)
    );
    let view = watch.changed().await.unwrap();
    assert_eq!(
        (view.level, view.health),
        (DegradationLevel::Emergency, SystemHealth::Degraded)
    );
    assert_eq!(start.elapsed().as_secs(), 10);
    let view = watch.changed().await.unwrap();
    assert_eq!(view.level, DegradationLevel::Full);
    assert_eq!(start.elapsed().as_secs(), 25);
    assert_eq!(watch.current(), view);
}

#[tokio::test(start_paused = true)]
async fn a_watch_hears_of_a_deadline_that_moves_nearer_while_it_sleeps() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let reporter = search.reporter(ReporterKind::Code, "one");
    reporter.report(Report::new(Status::Degraded).ttl(SECOND * 1000));
    let mut watch = registry.watch();
    let waiting = tokio::spawn(async move {
        watch.changed().await.unwrap();
        Instant::now()
    });
    tokio::task::yield_now().await;
    let start = Instant::now();
    reporter.report(Report::new(Status::Degraded).ttl(SECOND));
    assert_eq!((waiting.await.unwrap() - start).as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_not_told_what_did_not_change() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let reporter = search.reporter(ReporterKind::Code, "one");
    reporter.report(Report::degraded("slow").ttl(SECOND * 100));
    let mut watch = registry.watch();
    let before = watch.current();
    for _ in 0..10 {
        reporter.report(Report::degraded("slow").ttl(SECOND * 100));
    }
    assert_eq!(watch.current(), before);
    assert!(timeout(SECOND, watch.changed()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_watch_does_not_keep_the_registry_alive_and_ends_with_it() {
    let registry = Registry::new();
    let mut watch = registry.watch();
    let last = watch.current();
    let waiting = tokio::spawn(async move {
        let ended = watch.changed().await.is_none();
        (ended, watch.current())
    });
    tokio::task::yield_now().await;
    drop(registry);
    assert_eq!(waiting.await.unwrap(), (true, last));
}

#[test]
fn what_nobody_can_see_wakes_nobody() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let before = registry.watch().current();
    drop(search.reporter(ReporterKind::Code, "silent"));
    let reporter = search.reporter(ReporterKind::Code, "late");
    reporter.report(Report::unhealthy("over before it began").ttl(Duration::ZERO));
    assert_eq!(registry.watch().current(), before);
    reporter.report(Report::degraded("slow"));
    let degraded = registry.watch().current();
    assert_ne!(degraded.revision, before.revision);
    drop(reporter);
    assert_ne!(registry.watch().current().revision, degraded.revision);
}
