//! Whoever stands in: who gets the calls while a flag has stepped back, and what becomes of what they answer.

use brownout::{
    core::{BoxError, RejectReason, Rejected, Verdict},
    flag::FlagLayer,
    registry::FeatureState::{self, Degraded, Disabled, Enabled},
};
use brownout_testing::Behaviour;
use tokio::time::advance;
use tower::{Layer, Service, ServiceExt};

use crate::common::{
    MINUTE, RAMP, TTL, adding, exact_in, failing, flag, flagged, impose, probe, reason_of,
    registry, trip,
};

#[tokio::test(start_paused = true)]
async fn each_state_has_a_service_of_its_own() {
    let flag = flag();
    let ((inner, _), (simpler, _), (off, _)) = (adding(0), adding(100), adding(200));
    let layer = FlagLayer::for_results(flag.clone())
        .degraded(simpler)
        .disabled(off);
    let mut service = layer.layer(inner);
    for (state, answer) in [(Enabled, 1), (Degraded, 101), (Disabled, 201)] {
        flag.configure(state);
        assert_eq!(
            service.ready().await.unwrap().call(1).await.unwrap(),
            answer
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_one_calls_are_refused_and_a_degraded_service_is_none_for_a_disabled_feature() {
    let flag = flag();
    let (simpler, handle) = adding(100);
    let layer = FlagLayer::for_results(flag.clone()).degraded(simpler);
    let mut service = layer.layer(probe().0);
    flag.configure(Disabled);
    let answer = service.ready().await.unwrap().call(1).await;
    assert_eq!(reason_of(answer), RejectReason::FlagDisabled);
    assert_eq!(handle.counts().calls, 0);

    let mut service = flagged(&flag, probe().0);
    flag.configure(Degraded);
    let answer = service.ready().await.unwrap().call(1).await;
    assert_eq!(reason_of(answer), RejectReason::FlagDegraded);
    assert_eq!(flag.stats().totals.diverted, 2);
}

#[tokio::test(start_paused = true)]
async fn a_ramp_sends_those_it_turns_away_to_the_degraded_service() {
    let flag = flag();
    trip(&flag);
    let ((inner, handle), (simpler, _)) = (adding(0), adding(100));
    let layer = FlagLayer::for_results(flag.clone()).degraded(simpler);
    let mut service = layer.layer(inner);
    advance(TTL + RAMP / 2).await;
    let mut turned_away = 0;
    for _ in 0..1_000 {
        let answer = service.ready().await.unwrap().call(0).await.unwrap();
        turned_away += usize::from(answer == 100);
    }
    assert!((400..600).contains(&turned_away), "{turned_away}");
    assert_eq!(handle.counts().calls + turned_away, 1_000);
    handle.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_is_made_ready_within_the_call() {
    let flag = flag();
    flag.configure(Degraded);
    let (simpler, handle) = adding(100);
    handle.make_pending();
    let layer = FlagLayer::for_results(flag.clone()).degraded(simpler);
    let mut service = layer.layer(probe().0);
    service.ready().await.unwrap();
    assert_eq!(handle.counts().ready_polls, 0);
    let call = tokio::spawn(service.call(1));
    tokio::task::yield_now().await;
    assert!(!call.is_finished());
    handle.make_ready();
    assert_eq!(call.await.unwrap().unwrap(), 101);
    handle.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn how_it_fares_counts_for_nothing_and_goes_to_the_caller() {
    let registry = registry();
    let flag = exact_in(&registry).errors(1).build().unwrap();
    impose(&registry, Degraded, MINUTE);
    let (simpler, handle) = adding(100);
    let layer = FlagLayer::for_results(flag.clone()).degraded(simpler);
    let mut service = layer.layer(probe().0);
    handle.next(failing());
    let error = service.ready().await.unwrap().call(1).await.unwrap_err();
    assert_eq!(error.to_string(), "down");
    handle.next(Behaviour::panic_in_poll());
    let call = tokio::spawn(service.ready().await.unwrap().call(1));
    assert!(call.await.unwrap_err().is_panic());
    advance(MINUTE).await;
    assert_eq!(flag.state(), Enabled);
    assert_eq!(flag.stats().totals.failures, 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_drops_whoever_stands_in() {
    let flag = flag();
    flag.configure(Degraded);
    let (simpler, handle) = adding(100);
    handle.always(Behaviour::hang());
    let layer = FlagLayer::for_results(flag.clone()).degraded(simpler);
    let call = layer.layer(probe().0).oneshot(1);
    assert!(tokio::time::timeout(MINUTE, call).await.is_err());
    assert!(handle.counts().is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_service_is_returned_and_counted() {
    let flag = flag();
    let (service, inner) = probe();
    inner.always(failing());
    let mut service = flagged(&flag, service);
    for _ in 0..5 {
        let error = service.ready().await.unwrap().call(1).await.unwrap_err();
        assert_eq!(error.to_string(), "down");
    }
    assert_eq!(flag.state(), Degraded);
    assert_eq!(inner.counts().calls, 5);
    reason_of(service.ready().await.unwrap().call(1).await);
    assert_eq!(inner.counts().calls, 5);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_counts_for_nothing() {
    let flag = flag();
    let (service, inner) = probe();
    inner.always(Behaviour::hang());
    for _ in 0..10 {
        let call = flagged(&flag, service.clone()).oneshot(1);
        assert!(tokio::time::timeout(MINUTE, call).await.is_err());
    }
    assert_eq!(flag.state(), Enabled);
    assert_eq!(flag.stats().totals.abandoned, 10);
    assert!(inner.counts().is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_closure_judges_and_another_one_refuses() {
    let flag = flag();
    let layer = FlagLayer::for_results(flag.clone())
        .classify(|r: Result<&u32, &BoxError>| match r {
            Ok(0) => Verdict::Failure,
            Ok(1) => Verdict::Neutral,
            _ => Verdict::Success,
        })
        .reject_with(|rejected: Rejected| {
            assert_eq!(rejected.reason(), RejectReason::FlagDegraded);
            Ok::<_, BoxError>(1_000)
        });
    let mut service = layer.layer(probe().0);
    for (request, answer) in [
        (0, 0),
        (1, 1),
        (0, 0),
        (2, 2),
        (0, 0),
        (0, 0),
        (0, 0),
        (0, 1_000),
    ] {
        assert_eq!(
            service.ready().await.unwrap().call(request).await.unwrap(),
            answer
        );
    }
    let totals = flag.stats().totals;
    assert_eq!(
        (totals.failures, totals.neutral, totals.successes),
        (5, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_closure_marks_what_stands_in_answers() {
    let registry = registry();
    let builder = exact_in(&registry).public_name("recommendations");
    let flag = builder.build().unwrap();
    let marks = std::sync::Mutex::new(Vec::new());
    let layer = FlagLayer::for_results(flag.clone())
        .degraded(adding(100).0)
        .disabled(adding(200).0)
        .mark_with(|answer: &mut u32, mark| {
            *answer += 1_000;
            marks.lock().unwrap().push(mark.to_string());
        });
    let mut service = layer.layer(probe().0);
    for (state, answer) in [(Enabled, 1), (Degraded, 1_101), (Disabled, 1_201)] {
        flag.configure(state);
        assert_eq!(
            service.ready().await.unwrap().call(1).await.unwrap(),
            answer
        );
    }
    assert_eq!(
        *marks.lock().unwrap(),
        [
            "recommendations;tier=degraded;reason=flag-degraded",
            "recommendations;tier=disabled;reason=flag-disabled"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn all_services_of_a_layer_share_its_flag() {
    let flag = flag();
    let layer = FlagLayer::for_results(flag.clone());
    for _ in 0..5 {
        let (service, inner) = probe();
        inner.always(failing());
        assert!(layer.clone().layer(service).oneshot(1).await.is_err());
    }
    assert_eq!(layer.flag().state(), Degraded);
    let states: Vec<FeatureState> = (0..2)
        .map(|_| layer.layer(probe().0).flag().state())
        .collect();
    assert_eq!(states, [Degraded, Degraded]);
    assert!(flag.admit().is_err());
}
