//! Deadlines, to the millisecond.

use brownout::{
    aggregate::{AggregateLayer, PartOutcome},
    core::CauseKind,
};
use brownout_testing::{Behaviour, assert_no_busy_polling};
use tokio::time::{Instant, advance};
use tower::{Service, ServiceExt, service_fn};

use crate::common::{A, B, C, D, doing, hanging, ms, probe, slow};

fn kind(outcome: &PartOutcome<u32>) -> Option<CauseKind> {
    outcome.cause().map(brownout::core::Cause::kind)
}

#[tokio::test(start_paused = true)]
async fn a_part_that_hangs_is_missing_when_its_own_time_is_over() {
    let (part, seen) = hanging();
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, part)
        .timeout(ms(123))
        .optional(B, slow(2, 300).0)
        .into_service()
        .unwrap();
    let begun = Instant::now();
    let mut call = Box::pin(service.oneshot(7));
    assert!(tokio::time::timeout(ms(122), &mut call).await.is_err());
    assert_eq!(seen.counts().in_flight, 1);
    assert!(tokio::time::timeout(ms(1), &mut call).await.is_err());
    assert_eq!(seen.counts().dropped, 1, "dropped at once");
    let (a, b) = call.await.unwrap().into_values();
    assert_eq!(begun.elapsed(), ms(300));
    assert_eq!(
        (kind(&a), a.elapsed()),
        (Some(CauseKind::TimedOut), ms(123))
    );
    assert_eq!((b.into_value(), seen.counts().dropped), (Some(2), 1));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_never_becomes_ready_is_missing_when_its_time_is_over() {
    let (part, seen) = probe();
    seen.make_pending();
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, part)
        .timeout(ms(50))
        .into_service()
        .unwrap();
    let begun = Instant::now();
    let (a,) = service.oneshot(7).await.unwrap().into_values();
    assert_eq!(begun.elapsed(), ms(50));
    assert_eq!(kind(&a), Some(CauseKind::TimedOut));
    assert_eq!(a.cause().unwrap().text(), "not ready in time");
    assert_eq!(seen.counts().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn at_the_total_deadline_what_is_done_is_kept_and_the_rest_is_reported_as_timed_out() {
    let (hangs, seen) = hanging();
    let (last, unasked) = probe();
    let service = AggregateLayer::for_results::<u32>()
        .part(A, slow(1, 10).0)
        .optional(B, hangs)
        .optional(C, hanging().0)
        .timeout(ms(40))
        .or(3)
        .optional(D, last)
        .concurrency(1)
        .within(ms(100))
        .into_service()
        .unwrap();
    let begun = Instant::now();
    let (a, b, c, d) = service.oneshot(7).await.unwrap().into_values();
    assert_eq!(begun.elapsed(), ms(100));
    assert_eq!(a, 1);
    assert_eq!((kind(&b), b.elapsed()), (Some(CauseKind::TimedOut), ms(90)));
    assert_eq!(seen.counts().dropped, 1);
    // These never began; the value stands in all the same.
    assert_eq!((kind(&c), c.elapsed()), (Some(CauseKind::TimedOut), ms(0)));
    assert_eq!(c.value(), Some(&3));
    assert_eq!(
        (kind(&d), d.is_missing()),
        (Some(CauseKind::TimedOut), true)
    );
    assert_eq!(unasked.counts().ready_polls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_required_part_that_is_late_fails_the_call_when_the_time_is_over() {
    let service = AggregateLayer::for_results::<u32>()
        .part(A, hanging().0)
        .optional(B, hanging().0)
        .within(ms(70))
        .into_service()
        .unwrap();
    let begun = Instant::now();
    let missing = service.oneshot(7).await.unwrap_err();
    assert_eq!(begun.elapsed(), ms(70));
    assert_eq!(missing.cause().kind(), CauseKind::TimedOut);
    assert_eq!(
        (missing.name(), missing.public_text()),
        ("a", "no answer in time")
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_at_the_deadline_counts() {
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, slow(1, 50).0)
        .timeout(ms(50))
        .optional(B, slow(2, 80).0)
        .within(ms(80))
        .into_service()
        .unwrap();
    let (a, b) = service.oneshot(7).await.unwrap().into_values();
    assert_eq!((a.into_value(), b.into_value()), (Some(1), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_part_begins_when_the_part_does() {
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, slow(1, 40).0)
        .optional(B, slow(2, 30).0)
        .timeout(ms(31))
        .concurrency(1)
        .into_service()
        .unwrap();
    let (a, b) = service.oneshot(7).await.unwrap().into_values();
    assert_eq!((a.elapsed(), b.elapsed()), (ms(40), ms(30)));
    assert_eq!(b.into_value(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn times_begin_when_the_future_is_first_polled() {
    let mut service = AggregateLayer::for_results::<u32>()
        .part(A, slow(1, 50).0)
        .timeout(ms(50))
        .optional(B, hanging().0)
        .within(ms(80))
        .into_service()
        .unwrap();
    // One who makes two calls and awaits them one after the other takes no time from the second.
    let call = service.ready().await.unwrap().call(7);
    advance(ms(1_000)).await;
    let begun = Instant::now();
    let (a, b) = call.await.unwrap().into_values();
    assert_eq!(
        (a, kind(&b), b.elapsed()),
        (1, Some(CauseKind::TimedOut), ms(80))
    );
    assert_eq!(begun.elapsed(), ms(80));
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_polled_late_asks_nobody_for_nothing() {
    let (late, seen) = probe();
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, slow(1, 70).0)
        .optional(B, late)
        .concurrency(1)
        .within(ms(80))
        .into_service()
        .unwrap();
    let mut call = Box::pin(service.oneshot(7));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending());
    advance(ms(1_000)).await;
    // The first one has been there all the time, but for another there is none left.
    let (a, b) = call.await.unwrap().into_values();
    assert_eq!(
        (a.into_value(), kind(&b)),
        (Some(1), Some(CauseKind::TimedOut))
    );
    assert_eq!(seen.counts().ready_polls, 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_parts_is_not_busy() {
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, hanging().0)
        .timeout(ms(1_000))
        .optional(B, hanging().0)
        .timeout(ms(2_000))
        .within(ms(3_000))
        .into_service()
        .unwrap();
    // Once to begin, and once for each deadline that passes.
    assert_no_busy_polling(service.oneshot(7), ms(5_000), 3).await;
}

#[tokio::test(start_paused = true)]
async fn parts_that_all_answer_at_once_need_no_timer() {
    // Without a runtime there is none: making one would panic.
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, probe().0)
        .timeout(ms(50))
        .within(ms(80))
        .into_service()
        .unwrap();
    let call = std::thread::spawn(move || {
        let mut call = Box::pin(service.oneshot(7));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        call.as_mut().poll(&mut cx).is_ready()
    });
    assert!(call.join().unwrap());
}

/// Uses up tokio's budget for the task with each poll, and asks for the next one.
async fn greedy(times: usize) {
    for _ in 0..times {
        tokio::task::consume_budget().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_uses_up_the_tasks_budget_delays_no_deadline() {
    let service = AggregateLayer::for_results::<u32>()
        .optional(
            A,
            service_fn(|_: u32| async {
                loop {
                    greedy(10_000).await;
                    advance(ms(1)).await;
                }
            }),
        )
        .causes(|never: &std::convert::Infallible| match *never {})
        .timeout(ms(50))
        .into_service()
        .unwrap();
    let begun = Instant::now();
    let (a,): (PartOutcome<u32>,) = service.oneshot(7).await.unwrap().into_values();
    assert_eq!(kind(&a), Some(CauseKind::TimedOut));
    assert_eq!(begun.elapsed(), ms(50));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_uses_up_the_tasks_budget_does_not_starve_its_neighbours() {
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = std::sync::Arc::clone(&done);
    let busy = service_fn(move |_: u32| {
        let told = std::sync::Arc::clone(&told);
        async move {
            let mut polls = 0;
            while !told.load(std::sync::atomic::Ordering::Relaxed) {
                greedy(200).await;
                polls += 1;
                assert!(polls < 100, "its neighbour never gets its turn");
            }
            Ok::<_, std::convert::Infallible>(polls)
        }
    });
    let neighbour = service_fn(move |_: u32| {
        let done = std::sync::Arc::clone(&done);
        async move {
            greedy(20).await;
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            Ok::<_, std::convert::Infallible>(2)
        }
    });
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, busy)
        .optional(B, neighbour)
        .into_service()
        .unwrap();
    let parts = service.oneshot(7).await.unwrap();
    assert!(!parts.is_partial());
}

#[tokio::test(start_paused = true)]
async fn a_timed_out_part_gives_its_place_and_its_permit_to_the_next() {
    let limit = tower::limit::GlobalConcurrencyLimitLayer::new(1);
    let first = tower::Layer::layer(&limit, hanging().0);
    let second = tower::Layer::layer(&limit, doing(Behaviour::answer(Ok)).0);
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, first)
        .timeout(ms(20))
        .optional(B, second)
        .timeout(ms(30))
        .concurrency(1)
        .into_service()
        .unwrap();
    let (_, b) = service.oneshot(7).await.unwrap().into_values();
    assert_eq!((b.elapsed(), b.into_value()), (ms(0), Some(7)));
}
