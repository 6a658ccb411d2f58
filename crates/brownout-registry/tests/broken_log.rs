//! A log that panics. In a test binary of its own: tracing remembers what is enabled for a whole process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these tests panic on purpose, and where something is wrong"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brownout_registry::{CircuitMode, Order, Registry, Report, Reporter, ReporterKind, Status};

struct Broken;

impl tracing::Subscriber for Broken {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn event(&self, _: &tracing::Event<'_>) {
        panic!("the log is gone");
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn callbacks_are_called_though_the_log_panics() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let cell = search.circuit_override();
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let _first = cell.on_change(|| panic!("on purpose"));
    let _second = cell.on_change(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let logged = catch_unwind(AssertUnwindSafe(|| {
        let _broken = tracing::subscriber::set_default(Broken);
        let order = Order::new("me", "to see", Duration::from_secs(1));
        search.override_circuit(CircuitMode::ForcedOpen, order)
    }));
    assert!(logged.is_err(), "the log was written to");
    assert!(cell.get().is_some());
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

/// Code that reports when a panic of somebody else drops it, as layers do.
struct Ends(Reporter);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.report(Report::unhealthy("it panicked"));
    }
}

#[test]
fn a_report_made_by_a_panic_ends_no_process_though_the_log_panics() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let kept = search.reporter(ReporterKind::Code, "code");
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let _broken = tracing::subscriber::set_default(Broken);
        let _ends = Ends(kept.clone());
        panic!("on purpose");
    }));
    let told = ended.unwrap_err();
    assert_eq!(told.downcast_ref(), Some(&"on purpose"));
    assert_eq!(search.status(), Status::Unhealthy);
}
