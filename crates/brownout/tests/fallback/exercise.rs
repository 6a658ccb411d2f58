//! Which calls exercise a tier, and what is seen of it where all goes well.

use std::{convert::Infallible, time::Duration};

use brownout::{
    Dependency,
    breaker::Circuit,
    core::{Degraded, Verdict},
    fallback::{CauseKind, Exercise, Failed, FallbackLayer, Tier},
    registry::{CircuitState, DegradationLevel, Report, ReporterKind, Status},
};
use brownout_testing::LogCapture;
use tokio::time::advance;
use tower::{Layer, Service};
use tracing::Level;

use crate::common::{
    Handle, SECOND, ask, down, history, impose, ms, order, probe, search, uncapped, view,
};

/// A chain of which each request that may exercises the tier, which answers 99; and its primary's handle.
fn always(
    covered: &Dependency,
) -> (
    impl Service<u32, Response = u32, Error = Infallible> + use<>,
    Handle,
) {
    let (primary, inner) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(covered)
        .exercise(uncapped(1.0))
        .last("cache", |_| async { 99 })
        .unwrap();
    (layer.layer(primary), inner)
}

#[tokio::test(start_paused = true)]
async fn what_may_be_a_write_never_exercises_a_tier() {
    let search = search();
    let writes = FallbackLayer::for_results()
        .covering(&search)
        .exercise(uncapped(1.0))
        .last("queue", |_| async { 99 })
        .unwrap();
    // A key makes a second attempt harmless; it makes a write no read.
    let with_a_key = FallbackLayer::for_results()
        .idempotent()
        .covering(&search)
        .exercise(uncapped(1.0))
        .last("queue", |_| async { 99 })
        .unwrap();
    let (mut writes, mut with_a_key) = (writes.layer(probe().0), with_a_key.layer(probe().0));
    for _ in 0..100 {
        assert_eq!(ask(&mut writes, 1).await.unwrap(), 1);
        assert_eq!(ask(&mut with_a_key, 1).await, Ok(1));
    }
}

#[tokio::test(start_paused = true)]
async fn only_while_the_dependency_is_healthy_is_a_tier_exercised() {
    let search = search();
    let (mut service, _) = always(&search);
    assert_eq!(ask(&mut service, 1).await, Ok(99));
    for status in [Status::Degraded, Status::Unhealthy, Status::Unknown] {
        let order = impose(&search, status);
        assert_eq!(ask(&mut service, 1).await, Ok(1), "{status:?}");
        search.registry().release(order).unwrap();
        advance(SECOND * 60).await;
        assert_eq!(ask(&mut service, 1).await, Ok(99));
    }
    let probe = search.reporter(ReporterKind::Probe, "probe");
    probe.report(Report::degraded("slow"));
    assert_eq!(ask(&mut service, 1).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn neither_an_open_nor_a_half_open_circuit_lets_a_tier_be_exercised() {
    let search = search();
    let circuit = Circuit::new(&search);
    let (mut service, _) = always(&search);
    assert_eq!(ask(&mut service, 1).await, Ok(99));
    circuit
        .admit()
        .unwrap()
        .settle(Verdict::Trip { open_for: SECOND });
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    // Due for a probe, and untested.
    advance(SECOND * 3).await;
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    let one = circuit.admit().unwrap();
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    one.settle(Verdict::Success);
    circuit.admit().unwrap().settle(Verdict::Success);
    assert_eq!(circuit.state(), CircuitState::Closed);
    // The level takes its time to come back.
    advance(SECOND * 60).await;
    assert_eq!(ask(&mut service, 1).await, Ok(99));
}

#[tokio::test(start_paused = true)]
async fn a_degraded_system_exercises_nothing_whatever_degrades_it() {
    let search = search();
    let registry = search.registry();
    let (mut service, _) = always(&search);
    let other = registry.dependency("payments").register().unwrap();
    let down = impose(&other, Status::Unhealthy);
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    registry.release(down).unwrap();
    advance(SECOND * 60).await;
    assert_eq!(ask(&mut service, 1).await, Ok(99));
    for level in [DegradationLevel::Reduced, DegradationLevel::Emergency] {
        let level = registry.override_level(level, order()).unwrap();
        assert_eq!(ask(&mut service, 1).await, Ok(1));
        registry.release(level).unwrap();
    }
    assert_eq!(ask(&mut service, 1).await, Ok(99));
}

#[tokio::test(start_paused = true)]
async fn an_exercised_answer_is_marked_so_and_nobody_is_alarmed() {
    let search = search();
    let logs = LogCapture::at(Level::DEBUG);
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .exercise(uncapped(1.0))
        .mark_with(|answer: &mut String, mark: Degraded| answer.push_str(&mark.to_string()))
        .last("cache", |f: Failed<u32>| async move {
            assert_eq!(f.cause().kind(), CauseKind::Exercise);
            assert_eq!(f.request, 7);
            String::from("cached: ")
        })
        .unwrap();
    let primary = tower::service_fn(|_: u32| async { Ok::<_, Infallible>(String::from("fresh")) });
    let answer = ask(&mut layer.layer(primary), 7).await;
    assert_eq!(answer.unwrap(), "cached: search;tier=cache;reason=exercise");
    assert!(history(&search).is_empty());
    assert!(logs.records().is_empty(), "{:?}", logs.records());
    let cache = view(&layer.chain(), "cache");
    assert_eq!((cache.status(), cache.answered()), (Status::Healthy, 1));
}

#[tokio::test(start_paused = true)]
async fn only_the_first_tier_is_exercised_and_not_while_it_is_switched_off_or_unhealthy() {
    let search = search();
    let registry = search.registry();
    let mirror = registry.dependency("mirror");
    let mirror = mirror.register().unwrap();
    let (first, one) = probe();
    let (second, two) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .exercise(uncapped(1.0))
        .tier_stands_for("first", &mirror)
        .tier(Tier::new("first", first))
        .tier(Tier::new("second", second))
        .build()
        .unwrap();
    let (primary, inner) = probe();
    let mut service = layer.layer(primary);
    assert_eq!(ask(&mut service, 1).await.unwrap(), 1);
    layer.chain().switch_off("first").unwrap();
    assert_eq!(ask(&mut service, 1).await.unwrap(), 1);
    layer.chain().switch_on("first").unwrap();
    impose(&mirror, Status::Unhealthy);
    search
        .registry()
        .override_level(DegradationLevel::Full, order())
        .unwrap();
    assert_eq!(ask(&mut service, 1).await.unwrap(), 1);
    assert_eq!(one.counts().calls, 1);
    assert_eq!(inner.counts().calls, 2);
    assert_eq!(two.counts().ready_polls, 0);
    assert_eq!(view(&layer.chain(), "first").failed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_was_not_ready_is_no_exercise() {
    let search = search();
    let (mut service, inner) = always(&search);
    inner.fail_readiness(|| "gone".into());
    assert_eq!(ask(&mut service, 1).await, Ok(99));
    assert_eq!(history(&search), ["cache serves: not-ready"]);
}

#[tokio::test]
async fn an_exercise_that_makes_no_sense_is_refused_by_name() {
    let search = search();
    let chain = |exercise: Exercise| {
        FallbackLayer::for_results()
            .safe()
            .covering(&search)
            .exercise(exercise)
            .tier(Tier::new("cache", down("cache").0))
    };
    let of = Exercise::share;
    for share in [0.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
        let error = chain(of(share)).build().unwrap_err();
        assert_eq!(error.field(), "exercise", "{share}");
    }
    for cap in [0, 1_000_001, u32::MAX] {
        let error = chain(of(0.5).at_most(cap)).build().unwrap_err();
        assert_eq!(error.field(), "at_most", "{cap}");
    }
    for patience in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        let error = chain(of(0.5).patience(patience)).build().unwrap_err();
        assert_eq!(error.field(), "patience", "{patience:?}");
    }
    for within in [ms(99), ms(100)] {
        let error = chain(of(0.5)).within(within).build().unwrap_err();
        assert_eq!(error.field(), "patience");
        assert_eq!(
            error.to_string(),
            "`patience` cannot be 100ms: it must be less than `within`, so that the primary can still answer"
        );
    }
    assert!(chain(of(1.0)).within(ms(101)).build().is_ok());
    let nobody = FallbackLayer::for_results()
        .safe()
        .exercise(0.5)
        .tier(Tier::new("cache", down("cache").0))
        .build()
        .unwrap_err();
    assert_eq!(nobody.field(), "exercise");
    assert!(nobody.to_string().contains("covering"), "{nobody}");
}
