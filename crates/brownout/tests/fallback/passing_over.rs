//! A primary that a probe or a person calls unhealthy is not asked at all.

use std::{convert::Infallible, task::Poll};

use brownout::{
    Registry,
    breaker::{Circuit, CircuitBreakerLayer},
    core::{BoxError, Degraded, Verdict},
    fallback::{CauseKind, Exhausted, Failed, FallbackLayer, Tier},
    registry::{CircuitMode, Probe, Report, ReporterKind, Status},
};
use brownout_testing::assert_no_busy_polling;
use tokio::time::{Instant, advance};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::common::{SECOND, ask, history, impose, ms, order, probe, search, view};

#[tokio::test(start_paused = true)]
async fn an_unhealthy_primary_is_neither_called_nor_asked_whether_it_is_ready() {
    let search = search();
    let (primary, inner) = probe();
    inner.make_pending();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .skip_when_unhealthy(&search)
        .mark_with(|answer: &mut String, mark: Degraded| answer.push_str(&mark.to_string()))
        .last("cache", |f: Failed<u32>| async move {
            assert_eq!(f.cause().kind(), CauseKind::Unhealthy);
            assert_eq!(f.tiers().collect::<Vec<_>>(), ["primary"]);
            format!("{}: ", f.request)
        })
        .unwrap();
    let mut service = layer.layer(primary.map_response(|n: u32| n.to_string()));
    impose(&search, Status::Unhealthy);
    let start = Instant::now();
    // Ready at once, though the primary would not be for ever.
    let answer = ask(&mut service, 7).await;
    assert_eq!(answer.unwrap(), "7: search;tier=cache;reason=unhealthy");
    assert_eq!(start.elapsed(), ms(0));
    assert_eq!(inner.counts().ready_polls, 0);
    assert_eq!(inner.counts().calls, 0);
    assert_eq!(history(&search), ["cache serves: unhealthy"]);
}

#[tokio::test(start_paused = true)]
async fn a_write_goes_to_the_tier_for_it_was_certainly_not_sent() {
    let search = search();
    let (primary, inner) = probe();
    let (queue, seen) = probe();
    let layer = FallbackLayer::for_results()
        .skip_when_unhealthy(&search)
        .tier(Tier::new("queue", queue))
        .build()
        .unwrap();
    impose(&search, Status::Unhealthy);
    assert_eq!(ask(&mut layer.layer(primary), 7).await.unwrap(), 7);
    assert_eq!((inner.counts().calls, seen.counts().calls), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_primary_is_back_with_the_first_call_after_the_order_has_ended() {
    let search = search();
    let layer = FallbackLayer::for_results()
        .safe()
        .skip_when_unhealthy(&search)
        .last("cache", |_| async { 99 })
        .unwrap();
    let mut service = layer.layer(probe().0);
    for _ in 0..3 {
        let order = impose(&search, Status::Unhealthy);
        assert_eq!(ask(&mut service, 1).await, Ok(99));
        search.registry().release(order).unwrap();
        assert_eq!(ask(&mut service, 1).await, Ok(1));
    }
    // And by itself, to the millisecond, though nobody calls meanwhile.
    impose(&search, Status::Unhealthy);
    advance(ms(3_599_999)).await;
    assert_eq!(ask(&mut service, 1).await, Ok(99));
    advance(ms(1)).await;
    assert_eq!(ask(&mut service, 1).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_probe_alone_takes_the_primary_out_and_brings_it_back_without_a_single_call() {
    let search = search();
    let (works, up) = tokio::sync::watch::channel(false);
    let check = Probe::new(move || {
        let up = *up.borrow();
        async move { if up { Ok(()) } else { Err("refused") } }
    });
    search.probe(check.interval(SECOND)).unwrap();
    let _driver = search.registry().drive();
    let layer = FallbackLayer::for_results()
        .safe()
        .skip_when_unhealthy(&search)
        .last("cache", |_| async { 99 })
        .unwrap();
    let mut service = layer.layer(probe().0);
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(ask(&mut service, 1).await, Ok(99));
    works.send(true).unwrap();
    tokio::time::sleep(SECOND * 5).await;
    assert_eq!(ask(&mut service, 1).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn only_unhealthy_passes_the_primary_over() {
    let search = search();
    let layer = FallbackLayer::for_results()
        .safe()
        .skip_when_unhealthy(&search)
        .last("cache", |_| async { 99 })
        .unwrap();
    let mut service = layer.layer(probe().0);
    for status in [Status::Healthy, Status::Degraded, Status::Unknown] {
        impose(&search, status);
        assert_eq!(ask(&mut service, 1).await, Ok(1), "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn neither_a_circuit_nor_observed_traffic_passes_the_primary_over() {
    let search = search();
    let (primary, inner) = probe();
    let circuit = Circuit::new(&search);
    let layer = FallbackLayer::for_results()
        .safe()
        .skip_when_unhealthy(&search)
        .last("cache", |f| {
            let cause = f.cause().kind();
            async move { u32::from(cause == CauseKind::Rejected) + 100 }
        })
        .unwrap();
    let mut service = ServiceBuilder::new()
        .layer(layer)
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .service(primary);
    let traffic = search.reporter(ReporterKind::Traffic, "observed");
    traffic.report(Report::unhealthy("fails"));
    assert_eq!(search.status(), Status::Unhealthy);
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    circuit
        .admit()
        .unwrap()
        .settle(Verdict::Trip { open_for: SECOND });
    // The circuit refuses; it is the circuit that is asked.
    assert_eq!(ask(&mut service, 1).await, Ok(101));
    // So it gets the probes by which it closes again.
    advance(SECOND * 3).await;
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    assert_eq!(inner.counts().calls, 2);
    // Nor does a person who forces the circuit open: that is said of the circuit.
    search
        .override_circuit(CircuitMode::ForcedOpen, order())
        .unwrap();
    assert_eq!(search.status(), Status::Unhealthy);
    assert_eq!(ask(&mut service, 1).await, Ok(101));
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_when_it_became_ready_holds_for_the_call() {
    let search = search();
    let (primary, inner) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .skip_when_unhealthy(&search)
        .last("cache", |_| async { 99 })
        .unwrap();
    let mut service = layer.layer(primary);
    // Passed over: never called, though it is well again, and however often readiness is asked for.
    let order = impose(&search, Status::Unhealthy);
    service.ready().await.unwrap();
    search.registry().release(order).unwrap();
    service.ready().await.unwrap();
    assert_eq!(service.call(1).await, Ok(99));
    assert_eq!(inner.counts().ready_polls, 0);
    // Ready: called, though it is unhealthy by now.
    service.ready().await.unwrap();
    impose(&search, Status::Unhealthy);
    assert_eq!(service.call(1).await, Ok(1));
    // A clone decides for itself.
    service.ready().await.unwrap();
    let mut clone = service.clone();
    assert_eq!(ask(&mut clone, 1).await, Ok(99));
    inner.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_for_readiness_is_let_through_when_it_asks_again() {
    let search = search();
    let (primary, inner) = probe();
    inner.make_pending();
    let layer = FallbackLayer::for_results()
        .safe()
        .skip_when_unhealthy(&search)
        .last("cache", |_| async { 99 })
        .unwrap();
    let mut service = layer.layer(primary);
    assert!(
        assert_no_busy_polling(service.ready(), SECOND, 1)
            .await
            .is_none()
    );
    impose(&search, Status::Unhealthy);
    assert_eq!(ask(&mut service, 1).await, Ok(99));
}

#[tokio::test(start_paused = true)]
async fn any_of_several_dependencies_will_do_also_of_several_registries() {
    let search = search();
    let registry = search.registry();
    let disk = registry.dependency("disk").register().unwrap();
    let other = Registry::new().dependency("network").register().unwrap();
    let layer = FallbackLayer::for_results()
        .safe()
        .skip_when_unhealthy(&search)
        .skip_when_unhealthy(&disk)
        .skip_when_unhealthy(&other)
        .last("cache", |_| async { 99 })
        .unwrap();
    let mut service = layer.layer(probe().0);
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    for dependency in [&search, &disk, &other] {
        let order = impose(dependency, Status::Unhealthy);
        assert_eq!(ask(&mut service, 1).await, Ok(99));
        dependency.registry().release(order).unwrap();
        assert_eq!(ask(&mut service, 1).await, Ok(1));
    }
}

#[tokio::test(start_paused = true)]
async fn where_no_tier_answers_either_the_list_names_the_primary_and_no_time_that_it_took() {
    let search = search();
    let layer = FallbackLayer::for_results()
        .safe()
        .within(SECOND)
        .skip_when_unhealthy(&search)
        .tier_fn("cache", |_| async { Err::<u32, BoxError>("miss".into()) })
        .build()
        .unwrap();
    impose(&search, Status::Unhealthy);
    let (primary, inner) = probe();
    let mut service = layer.layer(primary);
    assert_eq!(ask(&mut service, 1).await.unwrap_err().to_string(), "miss");
    layer.chain().switch_off("cache").unwrap();
    let error = ask(&mut service, 1).await.unwrap_err();
    let exhausted = error.downcast::<Exhausted>().unwrap();
    let told: Vec<_> = exhausted
        .failures()
        .map(|f| (f.tier(), f.cause().kind(), f.elapsed()))
        .collect();
    assert_eq!(
        told,
        [
            ("primary", CauseKind::Unhealthy, None),
            ("cache", CauseKind::SwitchedOff, None)
        ]
    );
    assert_eq!(inner.counts().ready_polls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_is_passed_over_is_no_exercise() {
    let search = search();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .skip_when_unhealthy(&search)
        .exercise(1.0)
        .tier_fn("cache", |f| {
            let kind = f.cause().kind();
            async move {
                assert_eq!(kind, CauseKind::Unhealthy);
                Err::<u32, _>("miss")
            }
        })
        .last("empty", |_| async { 99 })
        .unwrap();
    impose(&search, Status::Unhealthy);
    let Ok::<_, Infallible>(answer) = ask(&mut layer.layer(probe().0), 1).await;
    assert_eq!(answer, 99);
    assert_eq!(view(&layer.chain(), "cache").failed(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_polled_before_somebody_asks() {
    let search = search();
    let (primary, inner) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .skip_when_unhealthy(&search)
        .last("cache", |_| async { 99 })
        .unwrap();
    let mut service = layer.layer(primary);
    impose(&search, Status::Unhealthy);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
    drop(service.call(1));
    assert_eq!(inner.counts().ready_polls, 0);
    assert_eq!(view(&layer.chain(), "cache").answered(), 0);
}
