//! What is left when a caller leaves: nothing.

use brownout::{
    aggregate::AggregateLayer,
    core::{BoxError, CauseKind},
};
use brownout_testing::{Behaviour, drop_at_each_await};
use tower::{Layer, ServiceExt, buffer::Buffer, service_fn};

use crate::common::{A, B, C, D, doing, ms, probe, slow};

#[tokio::test(start_paused = true)]
async fn a_call_dropped_at_any_await_drops_every_part() {
    for concurrency in 1..=4 {
        let yielding = |times| doing(Behaviour::answer(Ok::<u32, BoxError>).yielding(times));
        let late = doing(Behaviour::answer(Ok::<u32, BoxError>).after(ms(5)));
        let parts = [yielding(1), yielding(3), late, yielding(2)];
        let (compose, composing) = probe();
        composing.always(Behaviour::answer(Ok::<u32, BoxError>).yielding(2));
        let service = {
            let [a, b, c, d] = &parts;
            let layer = AggregateLayer::for_results::<u32>()
                .part(A, a.0.clone())
                .optional(B, b.0.clone())
                .part(C, c.0.clone())
                .timeout(ms(20))
                .optional(D, d.0.clone())
                .concurrency(concurrency)
                .build()
                .unwrap();
            layer.layer(compose.map_request(|(n, _): (u32, _)| n))
        };
        let before = parts
            .each_ref()
            .map(|(_, handle)| handle.counts().instances);
        let polls = drop_at_each_await(
            || service.clone().oneshot(7),
            |_| {
                for ((_, handle), before) in parts.iter().zip(before) {
                    let counts = handle.counts();
                    assert!(counts.is_idle(), "{counts:?}");
                    assert_eq!(counts.instances, before, "no clone is left");
                }
                assert!(composing.counts().is_idle());
            },
        )
        .await;
        assert!(polls > 5);
        for (_, handle) in &parts {
            handle.assert_contract_kept();
            assert_eq!(
                handle.counts().completed + handle.counts().dropped,
                handle.counts().calls
            );
        }
        assert_eq!(composing.counts().completed, 1);
    }
}

/// A buffer's worker works on for callers who have left.
#[tokio::test(start_paused = true)]
async fn a_part_that_answers_when_everybody_has_left_disturbs_nobody() {
    let (late, seen) = slow(1, 50);
    // The worker makes the calls; a task polls each to its end, whoever waits for it.
    let (late, worker) = Buffer::pair(
        service_fn(move |n: u32| {
            let call = tokio::spawn(late.clone().oneshot(n));
            async move { call.await? }
        }),
        4,
    );
    tokio::spawn(worker);
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, late)
        .timeout(ms(20))
        .optional(B, probe().0)
        .into_service()
        .unwrap();
    let (a, b) = service.clone().oneshot(7).await.unwrap().into_values();
    assert_eq!(a.cause().unwrap().kind(), CauseKind::TimedOut);
    assert_eq!((b.into_value(), seen.counts().in_flight), (Some(7), 1));
    let left = tokio::time::timeout(ms(10), service.clone().oneshot(8)).await;
    assert!(left.is_err());
    tokio::time::sleep(ms(60)).await;
    assert_eq!((seen.counts().completed, seen.counts().in_flight), (2, 0));
    seen.always(Behaviour::answer(Ok));
    let (a, b) = service.oneshot(9).await.unwrap().into_values();
    assert_eq!((a.into_value(), b.into_value()), (Some(9), Some(9)));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_before_the_future_is_polled() {
    let (part, seen) = probe();
    let mut service = AggregateLayer::for_results::<u32>()
        .part(A, part)
        .into_service()
        .unwrap();
    let call = tower::Service::call(service.ready().await.unwrap(), 7);
    assert_eq!((seen.counts().calls, seen.counts().ready_polls), (0, 0));
    drop(call);
    assert!(seen.counts().is_idle());
}

#[tokio::test(start_paused = true)]
async fn no_call_spawns_a_task() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, crate::common::hanging().0)
        .timeout(ms(50))
        .into_service()
        .unwrap();
    assert!(
        tokio::time::timeout(ms(1), service.oneshot(1))
            .await
            .is_err()
    );
    assert_eq!(tasks(), before);
}
