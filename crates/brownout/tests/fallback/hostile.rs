//! Chains among primaries, tiers and nested chains that do their worst.

#[cfg(feature = "http")]
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

#[cfg(feature = "http")]
use brownout::fallback::Failed;
use brownout::{
    Dependency, Registry,
    core::{BoxError, Origin, RejectReason, Rejected},
    fallback::{FallbackLayer, Tier},
};
use tokio::time::{Instant, timeout};
use tower::{Layer, ServiceExt, service_fn};

use crate::common::{SECOND, down, ms, probe};

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
async fn greedy() -> ! {
    loop {
        tokio::task::consume_budget().await;
    }
}

#[tokio::test]
async fn one_who_never_leaves_the_runtime_any_time_is_given_up_all_the_same() {
    let greedy = service_fn(|_: u32| async { Err::<u32, BoxError>(greedy().await) });
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
}
