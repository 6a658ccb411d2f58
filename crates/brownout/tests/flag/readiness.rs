//! Readiness: a flag that has stepped back needs none of its inner service, and what was passed by never reaches it.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use brownout::{
    core::{BoxError, RejectReason},
    flag::{Flag, FlagLayer},
    registry::{
        DegradationLevel::Emergency,
        FeatureState::{Degraded, Disabled, Enabled},
        Report,
    },
};
use brownout_testing::{TestError, assert_no_busy_polling};
use tokio::{sync::Barrier, time::advance};
use tower::{Layer, Service, ServiceExt};

use crate::common::{
    MINUTE, Plain, SECOND, TTL, come_back, critical, exact_in, fail, flag, flagged, impose, probe,
    reason_of, registry, trip,
};

fn poll_ready(service: &mut Plain) -> Poll<Result<(), BoxError>> {
    service.poll_ready(&mut Context::from_waker(Waker::noop()))
}

fn gone() -> BoxError {
    TestError::new("the connection is gone").into()
}

#[tokio::test(start_paused = true)]
async fn a_degraded_flag_is_ready_though_its_inner_service_is_not() {
    let flag = flag();
    let (service, inner) = probe();
    let mut service = flagged(&flag, service);
    trip(&flag);
    for broken in [true, false] {
        if broken {
            inner.fail_readiness(gone);
        } else {
            inner.make_pending();
        }
        assert!(matches!(poll_ready(&mut service), Poll::Ready(Ok(()))));
        assert_eq!(reason_of(service.call(1).await), RejectReason::FlagDegraded);
    }
    assert_eq!(inner.counts().ready_polls, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_passed_by_never_reaches_the_inner_service_whatever_has_changed() {
    let registry = registry();
    let flag = exact_in(&registry).build().unwrap();
    let (service, inner) = probe();
    let mut passed: Vec<_> = (0..3).map(|_| flagged(&flag, service.clone())).collect();
    trip(&flag);
    for service in &mut passed {
        service.ready().await.unwrap();
    }
    // It has come back; it was disabled since; it is enabled by order.
    let id = impose(&registry, Disabled, MINUTE);
    let mut service = passed.pop().unwrap();
    assert_eq!(reason_of(service.call(1).await), RejectReason::FlagDisabled);
    registry.release(id).unwrap();
    come_back(&flag).await;
    let mut service = passed.pop().unwrap();
    assert_eq!(reason_of(service.call(1).await), RejectReason::FlagDegraded);
    impose(&registry, Enabled, MINUTE);
    let mut service = passed.pop().unwrap();
    assert_eq!(reason_of(service.call(1).await), RejectReason::FlagDegraded);
    assert_eq!((inner.counts().ready_polls, inner.counts().calls), (0, 0));
    // It counted for one call.
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 1);
    inner.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn a_service_made_ready_before_the_flag_steps_back_is_not_called_after_it() {
    let flag = flag();
    let (service, inner) = probe();
    let mut service = flagged(&flag, service);
    service.ready().await.unwrap();
    trip(&flag);
    assert_eq!(reason_of(service.call(1).await), RejectReason::FlagDegraded);
    assert_eq!(inner.counts().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_is_a_failure_and_is_handed_on() {
    let flag = flag();
    let (service, inner) = probe();
    let mut service = flagged(&flag, service);
    inner.fail_readiness(gone);
    for _ in 0..5 {
        assert!(matches!(poll_ready(&mut service), Poll::Ready(Err(_))));
    }
    assert_eq!(flag.state(), Degraded);
    assert!(matches!(poll_ready(&mut service), Poll::Ready(Ok(()))));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_counts_beneath_an_order_too() {
    let registry = registry();
    let flag = exact_in(&registry).build().unwrap();
    impose(&registry, Enabled, MINUTE);
    let (service, inner) = probe();
    let mut service = flagged(&flag, service);
    inner.fail_readiness(gone);
    for _ in 0..5 {
        assert!(matches!(poll_ready(&mut service), Poll::Ready(Err(_))));
    }
    advance(MINUTE).await;
    assert_eq!(flag.state(), Degraded);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_the_inner_service_is_let_go_when_the_flag_steps_back() {
    let registry = registry();
    let flag = exact_in(&registry).disable_at(Emergency).build().unwrap();
    let step_back: [&dyn Fn(); 3] = [
        &|| fail(&flag, 5),
        &|| {
            impose(&registry, Disabled, MINUTE);
        },
        &|| critical(&registry).report(Report::unhealthy("gone").ttl(SECOND)),
    ];
    for step_back in step_back {
        let (service, inner) = probe();
        inner.make_pending();
        let barrier = Arc::new(Barrier::new(4));
        let waiting: Vec<_> = (0..3)
            .map(|n| {
                let mut service = flagged(&flag, service.clone());
                let barrier = Arc::clone(&barrier);
                tokio::spawn(async move {
                    barrier.wait().await;
                    service.ready().await?.call(n).await
                })
            })
            .collect();
        barrier.wait().await;
        tokio::task::yield_now().await;
        step_back();
        for call in waiting {
            let answer = tokio::time::timeout(SECOND, call).await;
            reason_of(answer.expect("the call was never woken").unwrap());
        }
        assert_eq!(inner.counts().calls, 0);
        advance(TTL * 2).await;
        assert_eq!(flag.state(), Enabled);
    }
}

/// Never ready; the flag steps back while it is asked.
struct Failing(Flag);

impl Service<u32> for Failing {
    type Response = u32;
    type Error = BoxError;
    type Future = std::future::Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        fail(&self.0, 5);
        Poll::Pending
    }

    fn call(&mut self, request: u32) -> Self::Future {
        std::future::ready(Ok(request))
    }
}

#[tokio::test(start_paused = true)]
async fn a_flag_that_steps_back_while_the_inner_service_is_asked_is_not_waited_for() {
    let flag = flag();
    let mut service = FlagLayer::for_results(flag.clone()).layer(Failing(flag));
    let polled = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready());
    reason_of(service.call(1).await);
}

#[tokio::test(start_paused = true)]
async fn changes_that_leave_the_flag_enabled_let_nobody_go() {
    let registry = registry();
    let flag = exact_in(&registry).build().unwrap();
    let (service, inner) = probe();
    inner.make_pending();
    let mut service = flagged(&flag, service);
    let call = tokio::spawn(async move { service.ready().await?.call(1).await });
    tokio::task::yield_now().await;
    impose(&registry, Enabled, SECOND);
    // Stepped back and returned before the waiting task has its turn.
    let id = impose(&registry, Disabled, SECOND);
    registry.release(id).unwrap();
    tokio::task::yield_now().await;
    assert!(!call.is_finished());
    inner.make_ready();
    assert_eq!(call.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_polls_nobody_busily() {
    let (service, inner) = probe();
    inner.make_pending();
    let mut service = flagged(&flag(), service);
    let ready = async move { service.ready().await.map(drop) };
    assert!(assert_no_busy_polling(ready, MINUTE, 2).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_clone_copies_no_readiness() {
    let flag = flag();
    let (service, inner) = probe();
    let mut original = flagged(&flag, service);
    trip(&flag);
    original.ready().await.unwrap();
    let mut clone = original.clone();
    come_back(&flag).await;
    assert_eq!(clone.ready().await.unwrap().call(1).await.unwrap(), 1);
    assert!(original.call(2).await.is_err());
    inner.assert_contract_kept();
}
