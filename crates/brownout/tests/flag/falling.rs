//! Falling through: who answers the calls that the service fails while its flag is enabled.

use std::{io, sync::Mutex};

use brownout::{
    Registry,
    core::{BoxError, Cause, Origin, RejectReason, Rejected, Verdict},
    flag::{Flag, FlagLayer},
    registry::FeatureState::{Degraded, Disabled, Enabled},
};
use brownout_testing::{Behaviour, TestError};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::common::{
    MINUTE, Probe, adding, exact, exact_in, fail, failing, flag, probe, reason_of, registry, trip,
};

fn refusal(guard: &str) -> Rejected {
    let dependency = Registry::new().dependency(guard).register().unwrap();
    let origin = Origin::new(&dependency, Instant::now());
    Rejected::new(origin, RejectReason::CircuitOpen, None)
}

/// What a service does that fails with such an error.
fn failing_with<E: Into<BoxError>>(
    error: impl Fn() -> E + Send + Sync + 'static,
) -> Behaviour<u32, u32, BoxError> {
    Behaviour::answer(move |_| Err(error().into()))
}

/// A service whose flag falls through, where requests may be writes.
fn writing(
    flag: &Flag,
    inner: Probe,
    simpler: Probe,
) -> impl Service<u32, Response = u32, Error = BoxError, Future: Send> + Clone + use<> {
    FlagLayer::for_results(flag.clone())
        .degraded(simpler)
        .fall_through()
        .layer(inner)
}

/// The same, where all are safe.
fn reading(
    flag: &Flag,
    inner: Probe,
    simpler: Probe,
) -> impl Service<u32, Response = u32, Error = BoxError, Future: Send> + Clone + use<> {
    FlagLayer::for_results(flag.clone())
        .degraded(simpler)
        .fall_through()
        .safe()
        .layer(inner)
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_is_counted_and_answered_by_the_degraded_service() {
    let flag = flag();
    let ((inner, handle), (simpler, seen)) = (probe(), adding(100));
    handle.always(failing());
    let mut service = reading(&flag, inner, simpler);
    for failures in 1..=5 {
        assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 101);
        assert_eq!(flag.stats().totals.failures, failures);
    }
    assert_eq!(flag.state(), Degraded);
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 101);
    assert_eq!((handle.counts().calls, seen.counts().calls), (5, 6));
    assert_eq!(flag.stats().totals.diverted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_success_and_what_is_neutral_go_to_the_caller() {
    let flag = flag();
    let (simpler, seen) = adding(100);
    let layer = FlagLayer::for_results(flag.clone())
        .classify(|r: Result<&u32, &BoxError>| match r {
            Ok(2) => Verdict::Failure,
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Neutral,
        })
        .degraded(simpler)
        .fall_through()
        .safe();
    let (inner, handle) = probe();
    let mut service = layer.layer(inner);
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 1);
    handle.next(failing());
    let error = service.ready().await.unwrap().call(1).await.unwrap_err();
    assert_eq!(error.to_string(), "down");
    assert_eq!(seen.counts().calls, 0);
    // An answer that fails goes on as an error does.
    assert_eq!(service.ready().await.unwrap().call(2).await.unwrap(), 102);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_had_its_effect_is_not_made_by_the_degraded_service() {
    let flag = flag();
    let ((inner, handle), (simpler, seen)) = (probe(), adding(100));
    let service = writing(&flag, inner, simpler);
    for error in [io::ErrorKind::TimedOut, io::ErrorKind::ConnectionReset] {
        handle.next(failing_with(move || io::Error::from(error)));
        assert!(service.clone().oneshot(1).await.is_err());
    }
    assert_eq!(seen.counts().calls, 0);
    assert_eq!(flag.stats().totals.failures, 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_goes_on_where_the_error_proves_that_it_was_not_sent() {
    let flag = flag();
    let ((inner, handle), (simpler, _)) = (probe(), adding(100));
    let service = writing(&flag, inner, simpler);
    handle.next(failing_with(|| refusal("ledger")));
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 101);
    handle.next(failing_with(|| {
        io::Error::from(io::ErrorKind::ConnectionRefused)
    }));
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_flag_that_names_its_dependency_trusts_no_other_ones_refusals() {
    for (guard, trusted) in [("ledger", true), ("mail", false)] {
        let registry = registry();
        let ledger = registry.dependency("ledger").register().unwrap();
        let flag = exact_in(&registry).dependency(&ledger).build().unwrap();
        let ((inner, handle), (simpler, _)) = (probe(), adding(100));
        handle.always(failing_with(move || refusal(guard)));
        let answer = writing(&flag, inner, simpler).oneshot(1).await;
        assert_eq!(answer.is_ok(), trusted, "{guard}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_the_classifier_calls_neutral_goes_on_and_counts_for_nothing() {
    let flag = flag();
    let layer = FlagLayer::for_results(flag.clone())
        .classify(|_: Result<&u32, &BoxError>| Verdict::Neutral)
        .degraded(adding(100).0)
        .fall_through();
    let (inner, handle) = probe();
    handle.always(failing_with(|| refusal("ledger")));
    let mut service = layer.layer(inner);
    for _ in 0..10 {
        assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 101);
    }
    assert_eq!((flag.state(), flag.stats().totals.failures), (Enabled, 0));
}

#[tokio::test(start_paused = true)]
async fn a_readiness_that_fails_is_counted_once_and_its_write_goes_on() {
    let flag = flag();
    let ((inner, handle), (simpler, seen)) = (probe(), adding(100));
    handle.fail_readiness(|| TestError::new("connection lost").into());
    let mut service = writing(&flag, inner, simpler);
    // It may be asked again, and keeps to what it has said.
    for _ in 0..3 {
        service.ready().await.unwrap();
    }
    assert_eq!(flag.stats().totals.failures, 1);
    assert_eq!(service.call(1).await.unwrap(), 101);
    assert_eq!((handle.counts().calls, seen.counts().calls), (0, 1));
    handle.make_ready();
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 1);
    handle.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn a_readiness_that_fails_promises_no_call_to_the_inner_service_whatever_the_flag_does() {
    let flag = flag();
    let ((inner, handle), (simpler, _)) = (probe(), adding(100));
    handle.fail_readiness(|| TestError::new("connection lost").into());
    let mut service = writing(&flag, inner, simpler);
    service.ready().await.unwrap();
    handle.make_ready();
    flag.configure(Disabled);
    assert_eq!(reason_of(service.call(1).await), RejectReason::FlagDisabled);
    flag.configure(Degraded);
    handle.fail_readiness(|| TestError::new("connection lost").into());
    service.ready().await.unwrap();
    flag.configure(Enabled);
    assert_eq!(service.call(1).await.unwrap(), 101);
    // A clone copies nothing of it.
    handle.make_ready();
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 1);
    handle.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn the_degraded_service_is_made_ready_within_the_call_and_on_a_clone() {
    let flag = flag();
    let ((inner, handle), (simpler, seen)) = (probe(), adding(100));
    handle.always(failing());
    seen.make_pending();
    let mut service = reading(&flag, inner, simpler);
    let call = tokio::spawn(service.ready().await.unwrap().call(1));
    tokio::task::yield_now().await;
    assert!(!call.is_finished());
    assert_eq!(handle.counts().in_flight, 0);
    seen.make_ready();
    assert_eq!(call.await.unwrap().unwrap(), 101);
    seen.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn how_the_degraded_service_fares_counts_for_nothing_and_goes_to_the_caller() {
    let flag = exact().errors(3).build().unwrap();
    let ((inner, handle), (simpler, seen)) = (probe(), adding(100));
    handle.always(failing());
    seen.next(failing_with(|| TestError::new("this too")));
    let mut service = reading(&flag, inner, simpler);
    let error = service.ready().await.unwrap().call(1).await.unwrap_err();
    assert_eq!(error.to_string(), "this too");
    seen.next(Behaviour::panic_in_poll());
    let call = tokio::spawn(service.ready().await.unwrap().call(1));
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(flag.stats().totals.failures, 2);
    assert_eq!(flag.stats().totals.abandoned, 0);
    assert!(seen.counts().is_idle() && handle.counts().is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_half_way_drops_whoever_is_asked() {
    let flag = flag();
    let ((inner, handle), (simpler, seen)) = (probe(), adding(100));
    seen.always(Behaviour::hang());
    handle.next(failing());
    let call = reading(&flag, inner.clone(), simpler.clone()).oneshot(1);
    assert!(tokio::time::timeout(MINUTE, call).await.is_err());
    assert_eq!(flag.stats().totals.failures, 1);
    assert_eq!(flag.stats().totals.abandoned, 0);
    handle.always(Behaviour::hang());
    let call = reading(&flag, inner, simpler).oneshot(1);
    assert!(tokio::time::timeout(MINUTE, call).await.is_err());
    assert_eq!(flag.stats().totals.abandoned, 1);
    assert_eq!(seen.counts().calls, 1);
    assert!(seen.counts().is_idle() && handle.counts().is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_service_goes_to_the_caller_and_on_to_nobody() {
    let flag = flag();
    let ((inner, handle), (simpler, seen)) = (probe(), adding(100));
    for behaviour in [Behaviour::panic_in_call(), Behaviour::panic_in_poll()] {
        handle.next(behaviour);
        let call = tokio::spawn(reading(&flag, inner.clone(), simpler.clone()).oneshot(1));
        assert!(call.await.unwrap_err().is_panic());
    }
    assert_eq!(flag.stats().totals.failures, 2);
    assert_eq!(seen.counts().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_comes_after_the_flag_has_degraded_goes_on_as_well() {
    let flag = flag();
    let ((inner, handle), (simpler, _)) = (probe(), adding(100));
    handle.next(failing().after(MINUTE));
    let mut service = reading(&flag, inner, simpler);
    let late = service.ready().await.unwrap().call(1);
    trip(&flag);
    assert_eq!(late.await.unwrap(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_write_with_a_key_goes_on_but_a_refusal_then_is_no_proof_that_nobody_made_it() {
    let flag = flag();
    let ((inner, handle), (simpler, seen)) = (probe(), adding(100));
    handle.always(failing());
    let layer = FlagLayer::for_results(flag.clone())
        .degraded(simpler)
        .fall_through()
        .idempotent();
    let service = layer.layer(inner);
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 101);
    // Whoever sees a refusal may make the write elsewhere: its caller gets what the service itself said.
    seen.next(failing_with(|| refusal("mirror")));
    let error = service.clone().oneshot(1).await.unwrap_err();
    assert_eq!(error.to_string(), "down");
    // However deep it may be hidden.
    seen.next(failing_with(|| io::Error::other(refusal("mirror"))));
    let error = service.clone().oneshot(1).await.unwrap_err();
    assert_eq!(error.to_string(), "down");
    // What the service refused was made by nobody.
    handle.always(failing_with(|| refusal("ledger")));
    seen.next(failing_with(|| refusal("mirror")));
    let error = service.oneshot(1).await.unwrap_err();
    assert!(error.is::<Rejected>(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_proves_nothing_is_not_handed_up_once_the_degraded_service_was_sent_the_write()
 {
    let registry = registry();
    let ledger = registry.dependency("ledger").register().unwrap();
    let flag = exact_in(&registry).dependency(&ledger).build().unwrap();
    let ((inner, handle), (simpler, seen)) = (probe(), adding(100));
    handle.always(failing_with(|| refusal("mail")));
    seen.always(failing_with(|| TestError::new("late")));
    let layer = FlagLayer::for_results(flag)
        .degraded(simpler)
        .fall_through()
        .idempotent();
    let service = layer.layer(inner);
    let error = service.clone().oneshot(1).await.unwrap_err();
    assert_eq!(error.to_string(), "late");
    // Where the degraded service refuses too, and layers above trust its guard, they get what they had got without it.
    seen.always(failing_with(|| refusal("ledger")));
    let error = service.oneshot(1).await.unwrap_err();
    let refused = error.downcast_ref::<Rejected>().unwrap();
    assert_eq!(refused.dependency(), "mail");
}

#[tokio::test(start_paused = true)]
async fn answers_of_the_degraded_service_say_why_it_was_asked() {
    let flag = exact().public_name("recs").build().unwrap();
    let ((inner, handle), (simpler, _)) = (probe(), adding(100));
    let marks = Mutex::new(Vec::new());
    let layer = FlagLayer::for_results(flag.clone())
        .degraded(simpler)
        .fall_through()
        .safe()
        .causes(|error: &BoxError| match error.to_string().as_str() {
            "late" => Cause::timed_out("late"),
            "nobody there" => Cause::connect("nobody there"),
            _ => Cause::describe(error),
        })
        .mark_with(|_: &mut u32, mark| marks.lock().unwrap().push(mark.to_string()));
    let mut service = layer.layer(inner);
    for error in ["down", "late", "nobody there"] {
        handle.next(failing_with(move || TestError::new(error)));
        service.ready().await.unwrap().call(1).await.unwrap();
    }
    handle.fail_readiness(|| TestError::new("closed").into());
    service.ready().await.unwrap().call(1).await.unwrap();
    handle.make_ready();
    service.ready().await.unwrap().call(1).await.unwrap();
    flag.configure(Degraded);
    service.ready().await.unwrap().call(1).await.unwrap();
    let expected = [
        "failed",
        "timed-out",
        "unreachable",
        "not-ready",
        "flag-degraded",
    ];
    let expected = expected.map(|reason| format!("recs;tier=degraded;reason={reason}"));
    assert_eq!(*marks.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_ramp_and_a_level_gate_fall_through_as_well() {
    use brownout::registry::DegradationLevel::Emergency;
    let flag = exact().degrade_at(Emergency).build().unwrap();
    let ((inner, handle), (simpler, _)) = (probe(), adding(100));
    let mut service = reading(&flag, inner, simpler);
    handle.next(failing());
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 101);
    handle.fail_readiness(|| TestError::new("closed").into());
    service.ready().await.unwrap();
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 101);
    assert_eq!(flag.stats().totals.failures, 2);
    fail(&flag, 3);
    assert_eq!(flag.state(), Degraded);
}

#[tokio::test(start_paused = true)]
async fn it_goes_into_tasks_over_boxed_errors_without_annotations() {
    let flag = flag();
    let answer = tokio::spawn(async move {
        let mut service = ServiceBuilder::new()
            .layer(
                FlagLayer::for_results(flag)
                    .degraded(service_fn(|n: u32| async move { Ok::<_, BoxError>(n) }))
                    .fall_through()
                    .safe(),
            )
            .service(service_fn(|_: u32| async {
                Err::<u32, BoxError>("down".into())
            }));
        let first = service.ready().await?.call(1).await?;
        tokio::task::yield_now().await;
        service.ready().await?.call(first).await
    });
    assert_eq!(answer.await.unwrap().unwrap(), 1);
}
