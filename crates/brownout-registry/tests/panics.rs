//! User code that panics, in the worst ways: nothing is poisoned, held or latched by it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these tests panic on purpose, and where something is wrong"
)]

use std::panic::panic_any;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use brownout_registry::{
    CircuitMode, Counts, Criticality, DegradationLevel, LevelPolicy, Order, Probe, Registry,
    Report, ReporterKind, StandardPolicy, Status,
};
use tokio::time::{advance, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// A payload whose drop panics as well.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose, again");
    }
}

/// A payload whose drop reads the registry.
struct Reads(Registry);

impl Drop for Reads {
    fn drop(&mut self) {
        let _ = self.0.snapshot();
    }
}

#[test]
fn what_a_policy_panics_with_is_dropped_outside_the_lock() {
    let (done, finished) = mpsc::channel();
    // In a thread of its own: a deadlock would otherwise be the test's.
    std::thread::spawn(move || {
        let handle: Arc<OnceLock<Registry>> = Arc::default();
        let inner = Arc::clone(&handle);
        let policy = move |counts: &Counts| {
            if counts.of_status(Status::Unhealthy) > 0 {
                panic_any(Reads(inner.get().unwrap().clone()));
            }
            DegradationLevel::Full
        };
        let registry = Registry::builder().level_policy(policy).build().unwrap();
        handle.set(registry.clone()).unwrap();
        let search = registry.dependency("search").register().unwrap();
        let reporter = search.reporter(ReporterKind::Code, "test");
        reporter.report(Report::unhealthy("gone"));
        done.send(registry.level()).unwrap();
    });
    assert_eq!(
        finished.recv_timeout(SECOND * 5),
        Ok(DegradationLevel::Reduced),
        "the standard policy decides in place of one that panics"
    );
}

#[test]
fn a_policy_whose_payload_panics_is_survived() {
    let policy = |counts: &Counts| {
        if counts.of_status(Status::Unhealthy) > 0 {
            panic_any(Bomb);
        }
        DegradationLevel::Full
    };
    let registry = Registry::builder().level_policy(policy).build().unwrap();
    let search = registry.dependency("search").register().unwrap();
    let reporter = search.reporter(ReporterKind::Code, "test");
    reporter.report(Report::unhealthy("gone"));
    assert_eq!(registry.level(), DegradationLevel::Reduced);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_panics_once_does_not_latch_the_level() {
    let fuse = Arc::new(AtomicBool::new(false));
    let lit = Arc::clone(&fuse);
    let policy = move |counts: &Counts| match counts.of_status(Status::Degraded) {
        1 if lit.swap(false, Ordering::SeqCst) => panic!("for once"),
        _ => StandardPolicy.level(counts),
    };
    let registry = Registry::builder().level_policy(policy).build().unwrap();
    let payments = registry
        .dependency("payments")
        .criticality(Criticality::Critical)
        .register()
        .unwrap();
    let reporter = payments.reporter(ReporterKind::Code, "test");
    reporter.report(Report::unhealthy("gone"));
    fuse.store(true, Ordering::SeqCst);
    reporter.report(Report::degraded("half back"));
    assert!(
        !fuse.load(Ordering::SeqCst),
        "the policy was asked, and panicked"
    );
    advance(SECOND * 15).await;
    assert_eq!(registry.level(), DegradationLevel::Full);
}

#[test]
fn a_policy_that_panicked_is_asked_again_about_the_same_counts() {
    let fuse = Arc::new(AtomicBool::new(true));
    let lit = Arc::clone(&fuse);
    let policy = move |counts: &Counts| match counts.of_status(Status::Unhealthy) {
        0 => DegradationLevel::Full,
        _ if lit.swap(false, Ordering::SeqCst) => panic!("for once"),
        _ => DegradationLevel::Minimal,
    };
    let registry = Registry::builder().level_policy(policy).build().unwrap();
    let search = registry.dependency("search").register().unwrap();
    let reporter = search.reporter(ReporterKind::Code, "test");
    reporter.report(Report::unhealthy("gone"));
    assert_eq!(registry.level(), DegradationLevel::Reduced);
    reporter.report(Report::unhealthy("still gone"));
    assert_eq!(registry.level(), DegradationLevel::Minimal);
}

#[test]
fn a_callback_whose_payload_panics_is_contained() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let cell = search.circuit_override();
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let _first = cell.on_change(|| panic_any(Bomb));
    let _second = cell.on_change(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let order = Order::new("me", "to see", SECOND);
    search
        .override_circuit(CircuitMode::ForcedOpen, order)
        .unwrap();
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_check_whose_payload_panics_has_failed_and_the_driver_goes_on() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let panics = || async {
        if true {
            panic_any(Bomb);
        }
        Ok::<(), String>(())
    };
    search.probe(Probe::new(panics)).unwrap();
    let driver = registry.drive();
    sleep(SECOND * 2).await;
    assert!(driver.is_running());
    assert_eq!(search.status(), Status::Unhealthy);
}
