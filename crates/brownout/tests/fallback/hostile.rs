//! Chains among primaries, tiers and nested chains that do their worst.

use std::{
    future::pending,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use brownout::{
    Dependency, Registry,
    core::{BoxError, CauseKind, Origin, RejectReason, Rejected, Verdict},
    fallback::{Exercise, Failed, FallbackLayer, Tier},
    registry::Status,
};
use tokio::time::{Instant, timeout};
use tower::{Layer, service_fn};

use crate::common::{SECOND, down, hanging, ms, probe};

fn dependency(name: &str) -> Dependency {
    Registry::new().dependency(name).register().unwrap()
}

fn refusal(name: &str) -> Rejected {
    Rejected::new(
        Origin::new(&dependency(name), Instant::now()),
        RejectReason::CircuitOpen,
        None,
    )
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_a_tier_proves_nothing_to_a_chain_above_where_the_primary_may_have_done_it() {
    let refuses = service_fn(|_: u32| async { Err::<u32, BoxError>(refusal("mirror").into()) });
    // Each request carries a key that the primary and this tier heed.
    let inner = FallbackLayer::for_results()
        .idempotent()
        .tier(Tier::new("mirror", refuses))
        .build()
        .unwrap()
        .layer(down("lost after the charge").0);
    let (elsewhere, seen) = probe();
    // But these tiers do not.
    let outer = FallbackLayer::for_results()
        .tier(Tier::new("elsewhere", elsewhere))
        .build()
        .unwrap()
        .layer(inner);
    outer.oneshot(1).await.unwrap_err();
    assert_eq!(seen.counts().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_tier_stands_for_says_whose_refusals_prove_that_it_was_not_asked() {
    for (guard, goes_on) in [("mirror", true), ("mail", false)] {
        let mirror = dependency("mirror");
        // Not its own guard: the second step of a tier that has done the first.
        let tier =
            service_fn(move |_: u32| async move { Err::<u32, BoxError>(refusal(guard).into()) });
        let (queue, seen) = probe();
        let chain = FallbackLayer::for_results()
            .covering(&dependency("ledger"))
            .tier_stands_for("mirror", &mirror)
            .tier(Tier::new("mirror", tier))
            .tier(Tier::new("queue", queue))
            .build()
            .unwrap()
            .layer(service_fn(|_: u32| async {
                Err::<u32, BoxError>(refusal("ledger").into())
            }));
        assert_eq!(chain.oneshot(1).await.is_ok(), goes_on, "{guard}");
        assert_eq!(seen.counts().calls == 1, goes_on);
    }
}

/// Uses up all that the runtime lets a task do in one go, each time that it is polled.
async fn greedy() -> Result<u32, BoxError> {
    loop {
        tokio::task::consume_budget().await;
    }
}

#[tokio::test]
async fn one_who_never_leaves_the_runtime_any_time_is_given_up_all_the_same() {
    let greedy = service_fn(|_: u32| greedy());
    let within = FallbackLayer::for_results()
        .safe()
        .within(ms(20))
        .last("last", |_| async { 7 })
        .unwrap()
        .layer(greedy);
    let timed = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("greedy", greedy).timeout(ms(20)))
        .last("last", |_| async { 7 })
        .unwrap()
        .layer(down("down").0);
    let start = std::time::Instant::now();
    // In tasks, since only they have a budget; and real time, since the paused clock stands still while a task is busy.
    let calls = [
        tokio::spawn(within.oneshot(1)),
        tokio::spawn(timed.oneshot(1)),
    ];
    for call in calls {
        let abort = call.abort_handle();
        let answer = timeout(SECOND * 5, call).await;
        abort.abort();
        assert_eq!(answer.expect("it was given up").unwrap().unwrap(), 7);
    }
    assert!(start.elapsed() < SECOND * 5);
}

fn panics<T>(text: &str) -> T {
    panic!("{text}")
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_panics_has_failed_by_that_exercised_or_not() {
    for exercised in [true, false] {
        let covered = dependency("search");
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let layer = FallbackLayer::for_results()
            .safe()
            .covering(&covered)
            .exercise(Exercise::share(1.0))
            .tier_fn("rules", move |_: Failed<u32>| {
                counted.fetch_add(1, Ordering::Relaxed);
                async { panics::<Result<u32, BoxError>>("no rules") }
            })
            .last("last", |_| async { 7 })
            .unwrap();
        let primary = if exercised { probe().0 } else { down("down").0 };
        if !exercised {
            covered
                .registry()
                .override_level(
                    brownout::registry::DegradationLevel::Reduced,
                    brownout::registry::Order::new("kim", "drill", SECOND * 60),
                )
                .unwrap();
        }
        let call = AssertUnwindSafe(layer.layer(primary).oneshot(1));
        let answer = tokio::spawn(call.0).await;
        assert_eq!(answer.is_ok(), exercised);
        let tier = layer.chain().tiers().next().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert_eq!((tier.failed(), tier.status()), (1, Status::Degraded));
        assert_eq!(tier.last_failure().unwrap().kind(), CauseKind::Panicked);
    }
}

#[tokio::test(start_paused = true)]
async fn the_primary_answers_where_judging_an_exercised_tier_panics() {
    let covered = dependency("search");
    let chain = FallbackLayer::for_results()
        .safe()
        .classify(|answer: Result<&u32, &BoxError>| match answer {
            Ok(0) => panics("no verdict on nothing"),
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Failure,
        })
        .covering(&covered)
        .exercise(1.0)
        .tier_fn("zero", |_: Failed<u32>| async { Ok::<u32, BoxError>(0) })
        .build()
        .unwrap();
    let handle = chain.chain();
    let answer = tokio::spawn(chain.layer(probe().0).oneshot(1)).await;
    assert_eq!(answer.expect("no panic").unwrap(), 1);
    assert_eq!(handle.tiers().next().unwrap().failed(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_exercised_tier_that_hangs_is_given_up_for_its_patience() {
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&dependency("search"))
        .exercise(1.0)
        .tier(Tier::new("hangs", hanging().0))
        .last("last", |_| pending())
        .unwrap();
    let start = Instant::now();
    let Ok(answer) = layer.layer(probe().0).oneshot(3).await;
    assert_eq!((answer, start.elapsed()), (3, ms(100)));
    let tier = layer.chain().tiers().next().unwrap();
    assert_eq!(tier.last_failure().unwrap().kind(), CauseKind::TimedOut);
}

/// Adds a tier that fails for each of these names.
macro_rules! failing_tiers {
    ($chain:expr, $($name:ident)*) => {
        $chain$(.tier_fn(stringify!($name), |_: Failed<u32>| async {
            Err::<u32, BoxError>(stringify!($name).into())
        }))*
    };
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_many_tiers_is_compiled_in_time_and_passes_through_all() {
    let chain = FallbackLayer::for_results().safe();
    let chain = failing_tiers!(chain, a b c d e f g h i j k l m n o p q r s t);
    let layer = chain
        .last("last", |f: Failed<u32>| async move {
            f.tiers().map(|_| 1).sum()
        })
        .unwrap();
    let Ok(failed) = layer.layer(down("down").0).oneshot(1).await;
    assert_eq!(failed, 21);
}

#[cfg(feature = "http")]
mod http {
    use super::*;
    use ::http::{Request, Response, StatusCode};

    fn refused() -> Response<String> {
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.extensions_mut().insert(refusal("mirror"));
        response
    }

    fn charge(key: &str) -> Request<String> {
        let request = Request::post("/charges").header("idempotency-key", key);
        request.body(String::new()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_refuses_proves_nothing_to_a_chain_above_where_the_primary_may_have_done_it()
     {
        let primary = service_fn(|_: Request<String>| async {
            Err::<Response<String>, BoxError>("lost after the charge".into())
        });
        for by_error in [true, false] {
            for stuck in [true, false] {
                let layer = FallbackLayer::for_http().idempotent().head_tier_fn(
                    "mirror",
                    move |_| async move {
                        if by_error {
                            Err::<Response<String>, BoxError>(refusal("mirror").into())
                        } else {
                            Ok(refused())
                        }
                    },
                );
                let asked = Arc::new(AtomicUsize::new(0));
                let count = Arc::clone(&asked);
                let elsewhere = move |_: Failed<_>| {
                    count.fetch_add(1, Ordering::Relaxed);
                    async { Response::new(String::from("charged again")) }
                };
                let outer = FallbackLayer::for_http()
                    .last_head("elsewhere", elsewhere)
                    .unwrap();
                // A whole tier never gets this body again, which a stream would not give twice.
                let mut request = charge("k-1");
                let answer = if stuck {
                    let layer = layer
                        .tier_fn("whole", |_: Failed<Request<String>>| async {
                            Ok::<_, BoxError>(Response::new(String::new()))
                        })
                        .build()
                        .unwrap();
                    request.body_mut().push('x');
                    let chain = outer.layer(layer.layer(primary));
                    chain.oneshot(request).await.unwrap().status()
                } else {
                    let chain = outer.layer(layer.build().unwrap().layer(primary));
                    chain.oneshot(request).await.unwrap().status()
                };
                assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE);
                assert_eq!(asked.load(Ordering::Relaxed), 0, "{by_error} {stuck}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idempotency_key_that_says_nothing_is_none() {
        for (key, again) in [("k-1", true), ("", false), ("\"\"", false)] {
            let primary = service_fn(|_: Request<String>| async {
                Err::<Response<String>, BoxError>("lost".into())
            });
            let layer = FallbackLayer::for_http()
                .idempotent()
                .last("tier", |_| async { Response::new(String::new()) })
                .unwrap();
            let Ok(answer) = layer.layer(primary).oneshot(charge(key)).await;
            assert_eq!(answer.status() == StatusCode::OK, again, "{key:?}");
        }
    }
}
