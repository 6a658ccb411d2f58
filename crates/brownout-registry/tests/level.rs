//! How the degradation level follows from the statuses, and that it never latches.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]
#![allow(clippy::panic, reason = "a policy panics on purpose")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brownout_registry::{
    Counts, Criticality, DegradationLevel, LevelPolicy, Order, Registry, Report, Reporter,
    ReporterKind, StandardPolicy, Status,
};
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);
const DWELL: Duration = Duration::from_secs(15);

fn reporter(registry: &Registry, name: &str, criticality: Criticality) -> Reporter {
    let dependency = registry
        .dependency(name)
        .criticality(criticality)
        .register()
        .unwrap();
    dependency.reporter(ReporterKind::Code, "test")
}

#[tokio::test(start_paused = true)]
async fn the_standard_policy_counts_what_matters() {
    use Criticality::{Critical, Important, Optional};
    use DegradationLevel::{Emergency, Full, Minimal, Reduced};
    let cases: [(&[Criticality], DegradationLevel); 6] = [
        (&[], Full),
        (&[Optional, Optional, Optional], Full),
        (&[Important], Reduced),
        (&[Important, Important], Minimal),
        (&[Critical], Emergency),
        (&[Critical, Important, Important, Optional], Emergency),
    ];
    for (failing, expected) in cases {
        let registry = Registry::new();
        let reporters: Vec<_> = failing
            .iter()
            .enumerate()
            .map(|(number, &criticality)| reporter(&registry, &number.to_string(), criticality))
            .collect();
        for reporter in &reporters {
            reporter.report(Report::degraded("slow"));
        }
        assert_eq!(
            registry.level(),
            Full,
            "degraded dependencies drive no level"
        );
        for reporter in &reporters {
            reporter.report(Report::unhealthy("gone"));
        }
        assert_eq!(registry.level(), expected, "{failing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_level_rises_at_once_and_falls_after_a_dwell() {
    let registry = Registry::new();
    let one = reporter(&registry, "one", Criticality::Critical);
    one.report(Report::unhealthy("gone"));
    assert_eq!(registry.level(), DegradationLevel::Emergency);
    advance(SECOND * 100).await;
    one.report(Report::healthy());
    assert_eq!(registry.level(), DegradationLevel::Emergency);
    advance(DWELL.saturating_sub(Duration::from_nanos(1))).await;
    assert_eq!(registry.level(), DegradationLevel::Emergency);
    advance(Duration::from_nanos(1)).await;
    assert_eq!(registry.level(), DegradationLevel::Full);
}

#[tokio::test(start_paused = true)]
async fn a_relapse_starts_the_dwell_anew() {
    let registry = Registry::new();
    let one = reporter(&registry, "one", Criticality::Important);
    one.report(Report::unhealthy("gone"));
    one.report(Report::healthy());
    advance(DWELL.saturating_sub(SECOND)).await;
    one.report(Report::unhealthy("gone"));
    one.report(Report::healthy());
    advance(DWELL.saturating_sub(SECOND)).await;
    assert_eq!(registry.level(), DegradationLevel::Reduced);
    advance(SECOND).await;
    assert_eq!(registry.level(), DegradationLevel::Full);
}

#[tokio::test(start_paused = true)]
async fn the_level_falls_by_steps_where_the_past_went_by_steps() {
    let registry = Registry::new();
    let (one, two) = (
        reporter(&registry, "one", Criticality::Important),
        reporter(&registry, "two", Criticality::Critical),
    );
    one.report(Report::unhealthy("gone"));
    two.report(Report::unhealthy("gone"));
    two.report(Report::healthy());
    advance(SECOND * 5).await;
    one.report(Report::healthy());
    advance(SECOND * 10).await;
    assert_eq!(registry.level(), DegradationLevel::Reduced);
    advance(SECOND * 5).await;
    assert_eq!(registry.level(), DegradationLevel::Full);
}

#[tokio::test(start_paused = true)]
async fn without_a_dwell_the_level_falls_at_once() {
    let registry = Registry::builder().dwell(Duration::ZERO).build().unwrap();
    let one = reporter(&registry, "one", Criticality::Critical);
    one.report(Report::unhealthy("gone"));
    assert_eq!(registry.level(), DegradationLevel::Emergency);
    one.report(Report::healthy());
    assert_eq!(registry.level(), DegradationLevel::Full);
}

#[tokio::test(start_paused = true)]
async fn a_dwell_of_more_than_a_day_is_refused() {
    let error = Registry::builder()
        .dwell(SECOND * 100_000)
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("dwell is 100000s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_without_any_later_traffic_ends_by_itself() {
    let registry = Registry::new();
    let payments = registry
        .dependency("payments")
        .criticality(Criticality::Critical)
        .register()
        .unwrap();
    let circuit = payments.reporter(ReporterKind::Circuit, "circuit");
    circuit.report(
        Report::unhealthy("circuit open")
            .ttl(SECOND * 5)
            .then(Status::Degraded),
    );
    assert_eq!(registry.level(), DegradationLevel::Emergency);
    assert_eq!(
        payments.status_without_traffic(),
        Status::Healthy,
        "no gate of its own closes"
    );
    // The level closes every gate: nobody calls, nobody reports, nobody reads.
    advance(SECOND * 5 + DWELL).await;
    assert_eq!(registry.level(), DegradationLevel::Full);
    assert_eq!(payments.status(), Status::Degraded);
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_ones_own_decides_the_level() {
    let registry = Registry::builder()
        .level_policy(|counts: &Counts| {
            if 2 * counts.of_status(Status::Unhealthy) > counts.total() {
                DegradationLevel::Minimal
            } else {
                StandardPolicy.level(counts)
            }
        })
        .build()
        .unwrap();
    let one = reporter(&registry, "one", Criticality::Optional);
    assert_eq!(registry.level(), DegradationLevel::Full);
    one.report(Report::unhealthy("gone"));
    assert_eq!(registry.level(), DegradationLevel::Minimal);
    let _two = reporter(&registry, "two", Criticality::Optional);
    advance(DWELL).await;
    assert_eq!(
        registry.level(),
        DegradationLevel::Full,
        "one of two is not more than half"
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_asked_once_for_the_same_counts() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let registry = Registry::builder()
        .level_policy(move |counts: &Counts| {
            count.fetch_add(1, Ordering::Relaxed);
            StandardPolicy.level(counts)
        })
        .build()
        .unwrap();
    let one = reporter(&registry, "one", Criticality::Critical);
    for _ in 0..100 {
        one.report(Report::unhealthy("gone"));
        one.report(Report::healthy());
    }
    assert_eq!(
        asked.load(Ordering::Relaxed),
        3,
        "none registered, one healthy, one unhealthy"
    );
}

#[tokio::test(start_paused = true)]
async fn the_standard_policy_answers_for_one_that_panics() {
    let registry = Registry::builder()
        .dwell(Duration::ZERO)
        .level_policy(
            |counts: &Counts| match counts.unhealthy(Criticality::Important) {
                2 => panic!("not written for two"),
                failing => {
                    if failing == 0 {
                        DegradationLevel::Full
                    } else {
                        DegradationLevel::Reduced
                    }
                }
            },
        )
        .build()
        .unwrap();
    let (one, two) = (
        reporter(&registry, "one", Criticality::Important),
        reporter(&registry, "two", Criticality::Important),
    );
    one.report(Report::unhealthy("gone"));
    two.report(Report::unhealthy("gone"));
    assert_eq!(registry.level(), DegradationLevel::Minimal);
    assert_eq!(
        two.dependency().status(),
        Status::Unhealthy,
        "statuses do not need the policy"
    );
    drop((one, two));
    assert_eq!(
        registry.level(),
        DegradationLevel::Full,
        "and it is asked again for other counts"
    );
}

#[tokio::test(start_paused = true)]
async fn counts_say_how_many_there_are() {
    let seen = Arc::new(std::sync::Mutex::new(Counts::default()));
    let sink = Arc::clone(&seen);
    let registry = Registry::builder()
        .level_policy(move |counts: &Counts| {
            *sink.lock().unwrap() = *counts;
            DegradationLevel::Full
        })
        .build()
        .unwrap();
    let one = reporter(&registry, "one", Criticality::Critical);
    let _two = reporter(&registry, "two", Criticality::Optional);
    one.report(Report::degraded("slow"));
    let counts = *seen.lock().unwrap();
    assert_eq!(counts.get(Criticality::Critical, Status::Degraded), 1);
    assert_eq!(counts.get(Criticality::Optional, Status::Healthy), 1);
    assert_eq!(
        (
            counts.total(),
            counts.of_criticality(Criticality::Important)
        ),
        (2, 0)
    );
    assert_eq!(
        format!("{counts:?}"),
        "{optional healthy: 1, critical degraded: 1}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_callback_hears_of_every_change_of_the_level_and_may_call_back() {
    let registry = Registry::new();
    let ledger = reporter(&registry, "ledger", Criticality::Critical);
    let (seen, inner) = (Arc::new(AtomicUsize::new(0)), registry.clone());
    let count = Arc::clone(&seen);
    let subscription = registry.on_level_change(move || {
        count.fetch_add(1, Ordering::Relaxed);
        let _ = (inner.level(), inner.snapshot());
    });
    let calls = || seen.load(Ordering::Relaxed);
    ledger.report(Report::unhealthy("gone").ttl(SECOND));
    assert_eq!(calls(), 1);
    // Nothing of the level changes.
    ledger.report(Report::unhealthy("still gone").ttl(SECOND));
    assert_eq!(calls(), 1);
    advance(SECOND + DWELL).await;
    assert_eq!(registry.level(), DegradationLevel::Full);
    assert_eq!(calls(), 2);
    drop(subscription);
    ledger.report(Report::unhealthy("gone again"));
    assert_eq!(calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_level_without_a_dependencys_circuits_is_that_of_all_others() {
    for asks in [false, true] {
        let mut builder = Registry::builder();
        if asks {
            builder = builder.level_policy(|counts: &Counts| StandardPolicy.level(counts));
        }
        let registry = builder.build().unwrap();
        let recs = registry.dependency("recs").register().unwrap();
        let circuit = recs.reporter(ReporterKind::Circuit, "breaker");
        circuit.report(Report::unhealthy("circuit open"));
        assert_eq!(registry.level(), DegradationLevel::Reduced);
        assert_eq!(recs.level_without_traffic(), DegradationLevel::Full);
        // What others say of it counts, and so does every other dependency.
        let other = reporter(&registry, "ledger", Criticality::Critical);
        other.report(Report::unhealthy("gone"));
        assert_eq!(recs.level_without_traffic(), DegradationLevel::Emergency);
        other.report(Report::healthy());
        let probe = recs.reporter(ReporterKind::Probe, "probe");
        probe.report(Report::unhealthy("gone"));
        assert_eq!(recs.level_without_traffic(), DegradationLevel::Reduced);
        // There is no dwell in it.
        probe.report(Report::healthy());
        assert_eq!(recs.level_without_traffic(), DegradationLevel::Full);
        assert_eq!(registry.level(), DegradationLevel::Emergency);
        let order = Order::new("kim", "rehearsal", SECOND);
        registry
            .override_level(DegradationLevel::Minimal, order)
            .unwrap();
        assert_eq!(recs.level_without_traffic(), DegradationLevel::Minimal);
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_panics_or_asks_for_the_level_without_traffic_gets_an_answer() {
    let asked = Arc::new(std::sync::Mutex::new(None::<brownout_registry::Dependency>));
    let asking = Arc::clone(&asked);
    let policy = move |counts: &Counts| {
        let dependency = asking.lock().unwrap().clone();
        if let Some(dependency) = dependency {
            dependency.level_without_traffic();
        }
        assert!(counts.total() != 2, "a policy that panics");
        StandardPolicy.level(counts)
    };
    let registry = Registry::builder().level_policy(policy).build().unwrap();
    let recs = registry.dependency("recs").register().unwrap();
    *asked.lock().unwrap() = Some(recs.clone());
    let circuit = recs.reporter(ReporterKind::Circuit, "breaker");
    circuit.report(Report::unhealthy("circuit open"));
    assert_eq!(recs.level_without_traffic(), DegradationLevel::Full);
    registry.dependency("ledger").register().unwrap();
    assert_eq!(recs.level_without_traffic(), DegradationLevel::Full);
    asked.lock().unwrap().take();
}
