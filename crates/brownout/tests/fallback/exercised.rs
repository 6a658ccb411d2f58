//! A tier that is exercised and does not answer is the tier's affair, and never the caller's.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use brownout::{
    core::BoxError,
    fallback::{CauseKind, Exercise, Exhausted, FallbackLayer, Tier},
    registry::Status,
};
use brownout_testing::{Behaviour, LogCapture, drop_at_each_await};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit, service_fn};
use tracing::Level;

use crate::common::{
    Probe, SECOND, ask, failing, hanging, history, ms, panicking, probe, search, uncapped, view,
};

/// What a tier does, what its chain says of it, and what a caller loses by it.
fn broken() -> Vec<(Probe, CauseKind, u64)> {
    let with = |behaviour| {
        let (service, handle) = probe();
        handle.always(behaviour);
        service
    };
    let (never_ready, pending) = probe();
    pending.make_pending();
    let (not_ready, gone) = probe();
    gone.fail_readiness(|| "gone".into());
    vec![
        (with(failing("cache miss")), CauseKind::Failed, 0),
        (with(failing("late").after(ms(99))), CauseKind::Failed, 99),
        (not_ready, CauseKind::NotReady, 0),
        (with(Behaviour::panic_in_call()), CauseKind::Panicked, 0),
        (with(panicking()), CauseKind::Panicked, 0),
        (with(panicking().after(ms(3))), CauseKind::Panicked, 3),
        (with(Behaviour::hang()), CauseKind::TimedOut, 100),
        (never_ready, CauseKind::TimedOut, 100),
        (
            with(Behaviour::answer(Ok).after(ms(101))),
            CauseKind::TimedOut,
            100,
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn whatever_an_exercised_tier_does_the_primary_answers_and_only_the_tier_is_blamed() {
    for (n, (tier, kind, lost)) in broken().into_iter().enumerate() {
        let search = search();
        let logs = LogCapture::at(Level::INFO);
        let (primary, inner) = probe();
        let (second, two) = probe();
        let layer = FallbackLayer::for_results()
            .safe()
            .covering(&search)
            .exercise(uncapped(1.0))
            .tier(Tier::new("cache", tier))
            .tier(Tier::new("mirror", second))
            .build()
            .unwrap();
        let chain = layer.chain();
        let mut service = layer.layer(primary);
        for call in 1..=3 {
            let start = Instant::now();
            assert_eq!(ask(&mut service, 7).await.unwrap(), 7, "case {n}");
            assert_eq!(start.elapsed(), ms(lost), "case {n}");
            let cache = view(&chain, "cache");
            assert_eq!((cache.answered(), cache.failed()), (0, call), "case {n}");
            assert_eq!(cache.last_failure().unwrap().kind(), kind, "case {n}");
            // Asked once, and by nobody but this call.
            assert_eq!(inner.counts().calls, usize::try_from(call).unwrap());
        }
        assert_eq!(view(&chain, "cache").status(), Status::Unhealthy);
        assert_eq!(search.status(), Status::Healthy);
        assert!(history(&search).is_empty());
        assert!(logs.records().is_empty(), "{:?}", logs.records());
        assert_eq!(two.counts().ready_polls, 0);
        inner.assert_contract_kept();
    }
}

#[tokio::test(start_paused = true)]
async fn a_last_tier_that_is_exercised_may_hang_or_panic_as_well() {
    for hangs in [true, false] {
        let layer = FallbackLayer::for_results()
            .safe()
            .covering(&search())
            .exercise(uncapped(1.0).patience(ms(20)))
            .last("empty", move |_| async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                panic!("at last");
            })
            .unwrap();
        let start = Instant::now();
        assert_eq!(ask(&mut layer.layer(probe().0), 7).await, Ok(7));
        assert_eq!(start.elapsed(), if hangs { ms(20) } else { ms(0) });
        let empty = view(&layer.chain(), "empty");
        let kind = if hangs {
            CauseKind::TimedOut
        } else {
            CauseKind::Panicked
        };
        assert_eq!(empty.last_failure().unwrap().kind(), kind);
    }
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_panics_before_it_has_a_future_is_caught_too() {
    #[expect(clippy::unused_async, reason = "a future is what a tier makes")]
    async fn never() -> u32 {
        0
    }
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .exercise(uncapped(1.0))
        .last("empty", |_| {
            assert!(Instant::now().elapsed() > SECOND, "before the future");
            never()
        })
        .unwrap();
    let mut service = layer.layer(probe().0);
    for n in 0..3 {
        assert_eq!(ask(&mut service, n).await, Ok(n));
    }
    assert_eq!(view(&layer.chain(), "empty").failed(), 3);
}

/// A future that panics when it is dropped, once.
struct Sharp(Arc<AtomicBool>);

impl Future for Sharp {
    type Output = Result<u32, BoxError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}

impl Drop for Sharp {
    fn drop(&mut self) {
        assert!(!self.0.swap(false, Ordering::Relaxed), "dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_panics_when_it_is_given_up_does_not_take_the_call_with_it() {
    let armed = Arc::new(AtomicBool::new(true));
    let sharp = Arc::clone(&armed);
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .exercise(uncapped(1.0))
        .tier(Tier::new(
            "sharp",
            service_fn(move |_: u32| Sharp(Arc::clone(&sharp))),
        ))
        .build()
        .unwrap();
    let mut service = layer.layer(probe().0);
    assert_eq!(ask(&mut service, 7).await.unwrap(), 7);
    assert!(!armed.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn patience_is_the_least_of_what_is_said_of_it_and_of_the_tiers_own_timeout() {
    for (timeout, patience, lost) in [(5, 20, 5), (20, 5, 5)] {
        let layer = FallbackLayer::for_results()
            .safe()
            .covering(&search())
            .exercise(uncapped(1.0).patience(ms(patience)))
            .tier(Tier::new("cache", hanging().0).timeout(ms(timeout)))
            .build()
            .unwrap();
        let start = Instant::now();
        assert_eq!(ask(&mut layer.layer(probe().0), 7).await.unwrap(), 7);
        assert_eq!(start.elapsed(), ms(lost));
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_for_exercise_primary_and_tiers_together() {
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .within(ms(150))
        .exercise(uncapped(1.0))
        .tier(Tier::new("cache", hanging().0))
        .build()
        .unwrap();
    let start = Instant::now();
    let error = ask(&mut layer.layer(hanging().0), 7).await.unwrap_err();
    assert_eq!(start.elapsed(), ms(150));
    let exhausted = error.downcast::<Exhausted>().unwrap();
    // The primary is told apart from the exercise before it.
    let told: Vec<_> = exhausted
        .failures()
        .map(|f| (f.tier(), f.cause().kind(), f.elapsed()))
        .collect();
    assert_eq!(
        told,
        [
            ("primary", CauseKind::TimedOut, Some(ms(50))),
            ("cache", CauseKind::TimedOut, None)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn where_the_primary_fails_after_an_exercise_the_tiers_are_asked_in_earnest() {
    let search = search();
    let (tier, cache) = probe();
    let (primary, inner) = probe();
    inner.always(failing("down"));
    cache.next(failing("miss"));
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .exercise(uncapped(1.0))
        .tier(Tier::new("cache", tier))
        .build()
        .unwrap();
    let mut service = layer.layer(primary);
    assert_eq!(ask(&mut service, 7).await.unwrap(), 7);
    assert_eq!(cache.counts().calls, 2);
    assert_eq!(inner.counts().calls, 1);
    assert_eq!(history(&search), ["cache serves: failed"]);
    // In earnest, a panic goes on to the caller.
    cache.script([failing("miss"), panicking()]);
    let call = AssertUnwindSafe(ask(&mut service, 7));
    assert!(futures_catch(call).await.is_err());
    assert_eq!(ask(&mut service, 7).await.unwrap(), 7);
}

/// The outcome of a future, or that it has panicked.
async fn futures_catch<F: Future>(future: AssertUnwindSafe<F>) -> Result<F::Output, ()> {
    let mut future = std::pin::pin!(future.0);
    std::future::poll_fn(|cx| {
        let poll = AssertUnwindSafe(|| future.as_mut().poll(cx));
        match std::panic::catch_unwind(poll) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(())),
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_primary_with_one_place_is_asked_on_the_instance_that_has_it() {
    let (primary, inner) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .exercise(uncapped(1.0).patience(ms(5)))
        .tier(Tier::new("cache", hanging().0))
        .build()
        .unwrap();
    let mut service = layer.layer(ConcurrencyLimit::new(primary, 1));
    // Its next user waits for the place until the call that exercises has ended, and then gets it.
    let first = service.ready().await.unwrap().call(1);
    let mut other = service.clone();
    let second = ask(&mut other, 2);
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.unwrap(), second.unwrap()), (1, 2));
    assert_eq!(ask(&mut service, 3).await.unwrap(), 3);
    inner.assert_contract_kept();
    assert_eq!(inner.counts().peak_in_flight, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_while_it_exercises_drops_everything() {
    let (primary, inner) = probe();
    inner.always(Behaviour::answer(Ok).yielding(2));
    let (tier, cache) = probe();
    cache.always(failing("miss").yielding(2));
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .within(SECOND)
        .exercise(Exercise::share(1.0).at_most(1_000))
        .tier(Tier::new("cache", tier))
        .build()
        .unwrap();
    let service = layer.layer(ConcurrencyLimit::new(primary, 1));
    let polls = drop_at_each_await(
        || service.clone().oneshot(7),
        |polls| {
            assert!(inner.counts().is_idle(), "after {polls} polls");
            assert!(cache.counts().is_idle(), "after {polls} polls");
        },
    )
    .await;
    assert_eq!(polls, 5);
    assert_eq!((inner.counts().completed, inner.counts().dropped), (1, 2));
    assert_eq!((cache.counts().completed, cache.counts().dropped), (3, 2));
}
