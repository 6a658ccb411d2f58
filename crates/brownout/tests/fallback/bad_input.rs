//! Tiers that misbehave: each ends as documented, and never in a wait without end.

use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll},
};

use brownout::{
    core::BoxError,
    fallback::{CauseKind, Exhausted, Failed, FallbackLayer, Tier},
    registry::Status,
};
use brownout_testing::Behaviour;
use tokio::time::{Instant, advance};
use tower::{Layer, Service, ServiceExt};

use crate::common::{SECOND, ask, down, history, ms, panicking, probe, search, view};

/// A tier that panics when it is asked whether it is ready.
#[derive(Clone)]
struct PanicsReady;

impl Service<u32> for PanicsReady {
    type Response = u32;
    type Error = BoxError;
    type Future = std::future::Pending<Result<u32, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        panic!("in readiness");
    }

    fn call(&mut self, _: u32) -> Self::Future {
        std::future::pending()
    }
}

#[tokio::test(start_paused = true)]
async fn a_tiers_panic_goes_on_to_the_caller_and_to_nobody_else() {
    let search = search();
    let (tier, inner) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .within(SECOND)
        .tier(Tier::new("tier", tier))
        .last("empty", |_| async { 99 })
        .unwrap();
    let service = layer.layer(down("primary").0);
    for panics in [Behaviour::panic_in_call(), panicking()] {
        inner.next(panics);
        let call = tokio::spawn(service.clone().oneshot(1));
        assert!(call.await.unwrap_err().is_panic());
        let Ok::<_, Infallible>(answer) = service.clone().oneshot(1).await;
        assert_eq!(answer, 1);
    }
    assert!(inner.counts().is_idle());
    let tier = view(&layer.chain(), "tier");
    assert_eq!((tier.answered(), tier.failed()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn whoever_polls_on_after_a_panic_waits_and_sees_no_second_one() {
    let layer = FallbackLayer::for_results()
        .safe()
        .within(SECOND)
        .tier(Tier::new("tier", PanicsReady))
        .last("empty", |_| async { 99 })
        .unwrap();
    let mut service = layer.layer(down("primary").0);
    let mut call = Box::pin(service.ready().await.unwrap().call(1));
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let poll = AssertUnwindSafe(|| call.as_mut().poll(&mut cx));
    assert!(catch_unwind(poll).is_err());
    drop(call);
    layer.chain().switch_off("tier").unwrap();
    assert_eq!(ask(&mut service, 1).await, Ok(99));
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_never_ready_ends_with_its_time_or_with_the_chains() {
    for (timeout, ends) in [(Some(30), 30), (None, 100)] {
        let (stuck, inner) = probe();
        inner.make_pending();
        let tier = Tier::new("stuck", stuck);
        let tier = match timeout {
            Some(timeout) => tier.timeout(ms(timeout)),
            None => tier,
        };
        let layer = FallbackLayer::for_results()
            .safe()
            .within(ms(100))
            .tier(tier)
            .build()
            .unwrap();
        let start = Instant::now();
        let error = ask(&mut layer.layer(down("primary").0), 1).await;
        assert_eq!(start.elapsed(), ms(ends));
        let exhausted = error.unwrap_err().downcast::<Exhausted>().unwrap();
        let last = exhausted.failures().last().unwrap();
        assert_eq!(last.cause().kind(), CauseKind::TimedOut);
        assert_eq!(last.elapsed(), Some(ms(ends)));
        assert!(inner.counts().is_idle());
    }
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_becomes_ready_in_time_answers_in_what_is_left() {
    let (tier, inner) = probe();
    inner.make_pending();
    inner.always(Behaviour::answer(Ok).after(ms(30)));
    let layer = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("tier", tier).timeout(ms(100)))
        .build()
        .unwrap();
    for (ready_after, answers) in [(70, true), (71, false)] {
        inner.make_pending();
        let mut service = layer.layer(down("primary").0);
        let becomes_ready = async {
            tokio::time::sleep(ms(ready_after)).await;
            inner.make_ready();
        };
        let (answer, ()) = tokio::join!(ask(&mut service, 1), becomes_ready);
        assert_eq!(answer.is_ok(), answers, "after {ready_after} ms");
    }
    inner.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_the_deadline_is_nobodys() {
    let search = search();
    let (late, inner) = probe();
    inner.always(Behaviour::answer(Ok).after(ms(101)));
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .within(ms(100))
        .tier(Tier::new("late", late))
        .last("empty", |f: Failed<u32>| async move {
            assert_eq!(f.tiers().collect::<Vec<_>>(), ["primary", "late"]);
            99
        })
        .unwrap();
    let mut service = layer.layer(down("primary").0);
    assert_eq!(ask(&mut service, 1).await, Ok(99));
    assert_eq!(inner.counts().dropped, 1);
    advance(SECOND).await;
    assert_eq!(inner.counts().completed, 0);
    let late = view(&layer.chain(), "late");
    assert_eq!((late.status(), late.answered()), (Status::Degraded, 0));
    assert_eq!(history(&search), ["empty serves: failed"]);
}

#[test]
fn names_are_compared_over_all_kinds_of_tiers() {
    let twice = FallbackLayer::for_results()
        .safe()
        .within(SECOND)
        .tier_fn("cache", |_: Failed<u32>| async { Err::<u32, _>("miss") })
        .tier(Tier::new("cache", probe().0))
        .last("empty", |_: Failed<u32>| async { 0_u32 });
    assert_eq!(twice.unwrap_err().field(), "tier");
    let with_last = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .tier_fn("empty", |_: Failed<u32>| async { Err::<u32, _>("miss") })
        .last("empty", |_: Failed<u32>| async { 0_u32 });
    assert_eq!(with_last.unwrap_err().field(), "tier");
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_clone_is_costly_is_cloned_once_and_once_more_for_each_tier_but_the_last() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static CLONES: AtomicUsize = AtomicUsize::new(0);
    struct Costly;
    impl Clone for Costly {
        fn clone(&self) -> Self {
            CLONES.fetch_add(1, Ordering::Relaxed);
            Self
        }
    }
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .tier_fn("a", |_: Failed<Costly>| async { Err::<u32, _>("a") })
        .tier_fn("b", |_: Failed<Costly>| async { Err::<u32, _>("b") })
        .last("empty", |_: Failed<Costly>| async { 99 })
        .unwrap();
    let primary = |works: bool| {
        tower::service_fn(move |_: Costly| async move { if works { Ok(1) } else { Err("down") } })
    };
    assert_eq!(layer.layer(primary(true)).oneshot(Costly).await, Ok(1));
    assert_eq!(CLONES.swap(0, Ordering::Relaxed), 1);
    assert_eq!(layer.layer(primary(false)).oneshot(Costly).await, Ok(99));
    assert_eq!(CLONES.swap(0, Ordering::Relaxed), 3);
}
