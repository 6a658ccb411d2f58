//! When a chain descends, what a tier learns, and what comes of a call that nobody answers.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use brownout::{
    core::{BoxError, Verdict},
    fallback::{CauseKind, Exhausted, Failed, Failure, FallbackLayer, Tier},
};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::common::{SECOND, down, hanging, ms, probe};

#[tokio::test(start_paused = true)]
async fn the_first_tier_that_can_answers() {
    let (third, seen) = probe();
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("first", down("first").0))
        .tier_fn("second", |f: Failed<u32>| async move {
            Ok::<_, Infallible>(f.request + 100)
        })
        .tier(Tier::new("third", third))
        .build()
        .unwrap()
        .layer(down("primary").0);
    assert_eq!(chain.oneshot(1).await.unwrap(), 101);
    assert_eq!(seen.counts().ready_polls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_tier_learns_the_cause_and_who_has_failed() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&seen);
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("mirror", down("mirror is down").0))
        .tier(Tier::new("cache", hanging().0).timeout(ms(5)))
        .last("empty", move |f| {
            let words =
                |f: &Failure| format!("{} {}: {}", f.tier(), f.cause().kind(), f.cause().text());
            said.lock().unwrap().extend(f.failures().map(words));
            assert_eq!(f.cause().kind(), CauseKind::TimedOut);
            assert_eq!(
                f.tiers().collect::<Vec<_>>(),
                ["primary", "mirror", "cache"]
            );
            async { 0 }
        })
        .unwrap()
        .layer(down("no route").0);
    let Ok::<u32, Infallible>(answer) = chain.oneshot(1).await;
    assert_eq!(answer, 0);
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "primary failed: no route",
            "mirror failed: mirror is down",
            "cache timed-out: no answer in time"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_the_classifier_calls_a_failure_descends_and_a_neutral_one_does_not() {
    let judge = |r: Result<&u32, &BoxError>| match r {
        Ok(5) | Err(_) => Verdict::Failure,
        Ok(4) => Verdict::Neutral,
        Ok(_) => Verdict::Success,
    };
    let mut chain = FallbackLayer::for_results()
        .safe()
        .classify(judge)
        .last("tier", |_| async { 99 })
        .unwrap()
        .layer(probe().0);
    for (request, answer) in [(1, 1), (4, 4), (5, 99)] {
        let Ok::<_, Infallible>(got) = chain.ready().await.unwrap().call(request).await;
        assert_eq!(got, answer);
    }
}

#[tokio::test(start_paused = true)]
async fn a_neutral_error_goes_to_the_caller_where_the_chain_can_fail() {
    let not_found = |r: Result<&u32, &BoxError>| match r {
        Err(e) if e.to_string() == "no such user" => Verdict::Neutral,
        Err(_) => Verdict::Failure,
        Ok(_) => Verdict::Success,
    };
    let (tier, seen) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .classify(not_found)
        .tier(Tier::new("tier", tier))
        .build()
        .unwrap();
    let error = layer
        .layer(down("no such user").0)
        .oneshot(1)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no such user");
    assert_eq!(seen.counts().calls, 0);
    assert_eq!(
        layer.layer(down("no database").0).oneshot(1).await.unwrap(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_of_readiness_descends_in_the_future_and_never_calls_the_primary() {
    let (primary, inner) = probe();
    inner.fail_readiness(|| "connection closed".into());
    let mut chain = FallbackLayer::for_results()
        .tier_fn("tier", |f: Failed<u32>| async move {
            assert_eq!(f.cause().kind(), CauseKind::NotReady);
            assert_eq!(f.cause().text(), "connection closed");
            Ok::<u32, BoxError>(99)
        })
        .build()
        .unwrap()
        .layer(primary);
    chain.ready().await.unwrap();
    inner.make_ready();
    // Ready means ready, however often it is asked; and what was made ready without the primary never calls it.
    chain.ready().await.unwrap();
    assert_eq!(chain.call(1).await.unwrap(), 99);
    assert_eq!(inner.counts().calls, 0);
    assert_eq!(chain.ready().await.unwrap().call(1).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tier_whose_readiness_fails_is_passed_over() {
    let (tier, inner) = probe();
    inner.fail_readiness(|| "tier closed".into());
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("tier", tier))
        .last("last", |f| {
            assert_eq!(f.cause().kind(), CauseKind::NotReady);
            async { 7 }
        })
        .unwrap()
        .layer(down("primary").0);
    let Ok::<u32, Infallible>(answer) = chain.oneshot(1).await;
    assert_eq!(answer, 7);
}

#[tokio::test(start_paused = true)]
async fn when_all_have_failed_the_error_is_the_last_tiers_own() {
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("first", down("first").0))
        .tier(Tier::new("second", down("second").0))
        .build()
        .unwrap()
        .layer(down("primary").0);
    assert_eq!(chain.oneshot(1).await.unwrap_err().to_string(), "second");
}

#[tokio::test(start_paused = true)]
async fn a_last_tier_without_an_error_of_its_own_leaves_the_list_of_all() {
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("slow", hanging().0).timeout(ms(250)))
        .build()
        .unwrap()
        .layer(down("primary").0);
    let error = chain.oneshot(1).await.unwrap_err();
    let exhausted = error.downcast::<Exhausted>().unwrap();
    assert_eq!(
        exhausted.to_string(),
        "no tier answered: primary failed (primary); slow timed-out (no answer in time)"
    );
}

#[tokio::test(start_paused = true)]
async fn exhaustion_can_be_an_error_that_lists_all_with_their_times() {
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("slow", hanging().0).timeout(ms(250)))
        .tier_fn("broken", |_| async { Err::<u32, _>("a type of its own") })
        .exhausted_fails()
        .build()
        .unwrap()
        .layer(down("primary").0);
    let exhausted = chain
        .oneshot(1)
        .await
        .unwrap_err()
        .downcast::<Exhausted>()
        .unwrap();
    let listed: Vec<_> = exhausted
        .failures()
        .map(|f| (f.tier(), f.cause().text(), f.elapsed().unwrap()))
        .collect();
    assert_eq!(
        listed,
        [
            ("primary", "primary", ms(0)),
            ("slow", "no answer in time", ms(250)),
            ("broken", "a type of its own", ms(0))
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn exhaustion_can_be_an_answer() {
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("first", down("first").0))
        .exhausted_with(|all: Exhausted| {
            Ok::<u32, BoxError>(u32::try_from(all.failures().count())?)
        })
        .build()
        .unwrap()
        .layer(down("primary").0);
    assert_eq!(chain.oneshot(1).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_slow_to_become_ready_blocks_nobody_else() {
    let (tier, inner) = probe();
    inner.make_pending();
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("tier", tier).timeout(SECOND))
        .last("last", |_| async { 0 })
        .unwrap()
        .layer(service_fn(|n: u32| async move {
            if n == 0 {
                Err::<u32, BoxError>("down".into())
            } else {
                Ok(n)
            }
        }));
    let waiting = tokio::spawn(chain.clone().oneshot(0));
    tokio::task::yield_now().await;
    let start = tokio::time::Instant::now();
    let Ok(answer) = chain.oneshot(5).await;
    assert_eq!((answer, start.elapsed()), (5, ms(0)));
    let Ok(answer) = waiting.await.unwrap();
    assert_eq!((answer, start.elapsed()), (0, SECOND));
}
