//! Overrides: who may impose what, for how long, and what is under them.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]
#![allow(clippy::panic, reason = "a callback panics on purpose")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brownout_registry::{
    CircuitMode, Criticality, DegradationLevel, FeatureState, Order, OverrideError, Registry,
    Report, ReporterKind, Status, Target,
};
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

fn order(seconds: u64) -> Order {
    Order::new("ops", "drill", SECOND * u32::try_from(seconds).unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_override_hides_reports_until_it_expires() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let reporter = search.reporter(ReporterKind::Code, "one");
    reporter.report(Report::unhealthy("gone"));
    search.override_status(Status::Healthy, order(10)).unwrap();
    assert_eq!(search.status(), Status::Healthy);
    reporter.report(Report::degraded("slow"));
    advance(SECOND * 10).await;
    assert_eq!(search.status(), Status::Degraded);
    assert!(registry.overrides().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_newest_override_counts_and_releasing_it_reveals_the_older() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let older = search
        .override_status(Status::Degraded, order(100))
        .unwrap();
    let newer = search
        .override_status(Status::Unhealthy, order(50))
        .unwrap();
    assert_eq!(search.status(), Status::Unhealthy);
    let effective: Vec<_> = registry
        .overrides()
        .iter()
        .map(|info| (info.id, info.effective))
        .collect();
    assert_eq!(effective, [(older, false), (newer, true)]);
    registry.release(newer).unwrap();
    assert_eq!(search.status(), Status::Degraded);
    assert_eq!(
        registry.release(newer),
        Err(OverrideError::NotActive { id: newer })
    );
    registry.release(older).unwrap();
    assert_eq!(search.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn expiry_reveals_the_older_override_and_an_older_one_may_expire_beneath() {
    let registry = Registry::new();
    registry
        .override_level(DegradationLevel::Reduced, order(30))
        .unwrap();
    registry
        .override_level(DegradationLevel::Emergency, order(10))
        .unwrap();
    registry
        .override_level(DegradationLevel::Minimal, order(20))
        .unwrap();
    assert_eq!(registry.level(), DegradationLevel::Minimal);
    advance(SECOND * 15).await;
    assert_eq!(registry.level(), DegradationLevel::Minimal);
    advance(SECOND * 5).await;
    assert_eq!(
        registry.level(),
        DegradationLevel::Reduced,
        "the one between has expired meanwhile"
    );
    advance(SECOND * 10).await;
    assert_eq!(
        registry.level(),
        DegradationLevel::Full,
        "an override of the level leaves no dwell"
    );
}

#[tokio::test(start_paused = true)]
async fn a_ninth_override_of_one_target_is_refused() {
    let registry = Registry::new();
    let first = registry
        .override_level(DegradationLevel::Reduced, order(10))
        .unwrap();
    for _ in 0..7 {
        registry
            .override_level(DegradationLevel::Reduced, order(100))
            .unwrap();
    }
    let error = registry
        .override_level(DegradationLevel::Full, order(100))
        .unwrap_err();
    assert_eq!(
        error,
        OverrideError::TooMany {
            target: Target::Level
        }
    );
    assert!(error.to_string().contains("release one"), "{error}");
    let search = registry.dependency("search").register().unwrap();
    search.override_status(Status::Healthy, order(1)).unwrap();
    advance(SECOND * 10).await;
    assert_eq!(
        registry.release(first),
        Err(OverrideError::NotActive { id: first })
    );
    registry
        .override_level(DegradationLevel::Full, order(100))
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_order_must_say_who_and_why_and_end() {
    let registry = Registry::new();
    let day = SECOND * 24 * 3600;
    let long = "x".repeat(257);
    let cases = [
        ("actor", Order::new("  ", "drill", SECOND)),
        ("actor", Order::new(long.as_str(), "drill", SECOND)),
        ("actor", Order::new("a\nb", "drill", SECOND)),
        ("reason", Order::new("ops", "", SECOND)),
        ("reason", Order::new("ops", "a\u{7f}b", SECOND)),
        ("ttl", Order::new("ops", "drill", Duration::ZERO)),
        (
            "ttl",
            Order::new("ops", "drill", day * 7 + Duration::from_nanos(1)),
        ),
    ];
    for (expected, order) in cases {
        match registry.override_level(DegradationLevel::Full, order.clone()) {
            Err(OverrideError::InvalidOrder { field, .. }) => {
                assert_eq!(field, expected, "{order:?}");
            }
            other => panic!("{order:?} gave {other:?}"),
        }
    }
    registry
        .override_level(
            DegradationLevel::Full,
            Order::new(" ops ", " drill\u{a0}", day * 7),
        )
        .unwrap();
    let info = &registry.overrides()[0];
    assert_eq!((&*info.actor, &*info.reason), ("ops", "drill"), "trimmed");
    assert_eq!(info.until.at, Instant::now() + day * 7);
}

#[tokio::test(start_paused = true)]
async fn circuits_forced_open_count_as_unhealthy() {
    let registry = Registry::new();
    let search = registry
        .dependency("search")
        .criticality(Criticality::Critical)
        .register()
        .unwrap();
    let id = search
        .override_circuit(CircuitMode::ForcedOpen, order(10))
        .unwrap();
    assert_eq!(
        search.status(),
        Status::Healthy,
        "there is no circuit that could be forced"
    );
    let circuit = search.reporter(ReporterKind::Circuit, "circuit");
    assert_eq!(search.status(), Status::Unhealthy);
    assert_eq!(search.status_without_traffic(), Status::Healthy);
    assert_eq!(
        registry.level(),
        DegradationLevel::Emergency,
        "a person decided it"
    );
    circuit.report(Report::healthy());
    assert_eq!(search.status(), Status::Unhealthy);
    registry.release(id).unwrap();
    assert_eq!(search.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn circuits_that_admit_everything_report_degraded_at_most() {
    for mode in [CircuitMode::ForcedClosed, CircuitMode::ObserveOnly] {
        let registry = Registry::new();
        let search = registry.dependency("search").register().unwrap();
        let circuit = search.reporter(ReporterKind::Circuit, "circuit");
        let code = search.reporter(ReporterKind::Code, "code");
        circuit.report(Report::unhealthy("circuit open"));
        search.override_circuit(mode, order(10)).unwrap();
        assert_eq!(search.status(), Status::Degraded, "{mode}");
        code.report(Report::unhealthy("gone"));
        assert_eq!(
            search.status(),
            Status::Unhealthy,
            "others are not adjusted"
        );
        code.report(Report::healthy());
        advance(SECOND * 10).await;
        assert_eq!(search.status(), Status::Unhealthy, "{mode} has expired");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cell_shows_what_counts_and_until_when() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let cell = search.circuit_override();
    assert!(!cell.is_set());
    assert_eq!(cell.get(), None);
    search
        .override_circuit(CircuitMode::ObserveOnly, order(20))
        .unwrap();
    search
        .override_circuit(CircuitMode::ForcedOpen, order(10))
        .unwrap();
    let until = Instant::now() + SECOND * 10;
    assert!(cell.is_set());
    let overridden = cell.clone().get().unwrap();
    assert_eq!(
        (overridden.value, overridden.until),
        (CircuitMode::ForcedOpen, until)
    );
    advance(SECOND * 10).await;
    assert_eq!(
        cell.get().unwrap().value,
        CircuitMode::ObserveOnly,
        "the older one is revealed"
    );
    advance(SECOND * 10).await;
    assert_eq!(cell.get(), None);
    assert!(!cell.is_set());
}

#[tokio::test(start_paused = true)]
async fn a_cell_made_after_the_override_shows_it() {
    let registry = Registry::new();
    registry
        .override_flag("recommendations", FeatureState::Disabled, order(10))
        .unwrap();
    let cell = registry.flag_override("recommendations").unwrap();
    assert_eq!(cell.get().unwrap().value, FeatureState::Disabled);
    assert_eq!(
        registry.overrides()[0].target,
        Target::Flag("recommendations".into())
    );
    assert_eq!(
        registry.overrides()[0].target.to_string(),
        "flag:recommendations"
    );
    advance(SECOND * 10).await;
    assert_eq!(cell.get(), None);
    assert!(registry.flag_override("two words").is_err());
    assert!(
        registry
            .override_flag("a:b", FeatureState::Enabled, order(1))
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn a_callback_hears_of_every_set_release_and_expiry_and_may_call_back() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let cell = search.circuit_override();
    let calls = Arc::new(AtomicUsize::new(0));
    let (count, inner, seen) = (Arc::clone(&calls), registry.clone(), cell.clone());
    let subscription = cell.on_change(move || {
        count.fetch_add(1, Ordering::Relaxed);
        // Whatever it asks of the registry must not deadlock.
        let _ = (
            inner.level(),
            inner.snapshot(),
            inner.overrides(),
            seen.get(),
        );
        inner.dependency("search").register().unwrap();
    });
    let id = search
        .override_circuit(CircuitMode::ForcedOpen, order(10))
        .unwrap();
    registry.release(id).unwrap();
    search
        .override_circuit(CircuitMode::ForcedOpen, order(10))
        .unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    advance(SECOND * 10).await;
    assert_eq!(cell.get(), None);
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    drop(subscription);
    search
        .override_circuit(CircuitMode::ForcedOpen, order(10))
        .unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_harms_nobody() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let cell = search.circuit_override();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let _first = cell.on_change(|| panic!("on purpose"));
    let _second = cell.on_change(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let id = search
        .override_circuit(CircuitMode::ForcedOpen, order(10))
        .unwrap();
    registry.release(id).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
