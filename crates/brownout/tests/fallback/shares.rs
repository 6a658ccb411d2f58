//! How many calls exercise a tier.

use std::{
    convert::Infallible,
    task::{Context, Waker},
};

use brownout::{
    Registry,
    fallback::{Exercise, FallbackLayer, Tier},
};
use tokio::time::advance;
use tower::{Layer, Service};

use crate::common::{SECOND, ask, ms, probe, search, uncapped, view};

#[tokio::test(start_paused = true)]
#[expect(clippy::cast_precision_loss, reason = "counts up to 100,000")]
async fn the_share_of_calls_that_exercise_the_tier_is_the_one_that_was_asked_for() {
    const CALLS: u32 = 100_000;
    for share in [0.001, 0.01, 0.25, 0.9] {
        let (primary, inner) = probe();
        let (tier, seen) = probe();
        let layer = FallbackLayer::for_results()
            .safe()
            .covering(&search())
            .exercise(uncapped(share))
            .tier(Tier::new("cache", tier))
            .build()
            .unwrap();
        let mut service = layer.layer(primary);
        for n in 0..CALLS {
            assert_eq!(ask(&mut service, n).await.unwrap(), n);
        }
        let exercised = seen.counts().calls;
        assert_eq!(inner.counts().calls + exercised, CALLS as usize);
        // Six standard deviations of a binomial distribution.
        let expected = f64::from(CALLS) * share;
        let most = 6.0 * (expected * (1.0 - share)).sqrt();
        let off = (exercised as f64 - expected).abs();
        assert!(off < most, "{exercised} of {CALLS} at {share}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_exercises_with_the_same_calls() {
    let mut seen = Vec::new();
    for seed in [7, 7, 8] {
        let registry = Registry::builder().seed(seed).build().unwrap();
        let search = registry.dependency("search").register().unwrap();
        let layer = FallbackLayer::for_results()
            .safe()
            .covering(&search)
            .exercise(uncapped(0.5))
            .last("cache", |_| async { 99 })
            .unwrap();
        let mut service = layer.layer(probe().0);
        let mut drawn = Vec::new();
        for _ in 0..64 {
            drawn.push(ask(&mut service, 1).await.unwrap());
        }
        seen.push(drawn);
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[1], seen[2]);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_cap_are_exercised_in_a_second_and_as_many_again_in_the_next() {
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .exercise(Exercise::share(1.0).at_most(3))
        .last("cache", |_| async { 99 })
        .unwrap();
    // One cap for all services of the chain.
    let mut services = [layer.layer(probe().0), layer.layer(probe().0)];
    for second in 1..=5 {
        for pause in [0, 500, 499] {
            advance(ms(pause)).await;
            for n in 0..20 {
                ask(&mut services[n % 2], 1).await.unwrap();
            }
        }
        assert_eq!(view(&layer.chain(), "cache").answered(), 3 * second);
        advance(ms(1)).await;
    }
    // What was not used in an idle time is not saved up.
    advance(SECOND * 3_600).await;
    for _ in 0..20 {
        ask(&mut services[0], 1).await.unwrap();
    }
    assert_eq!(view(&layer.chain(), "cache").answered(), 18);
}

#[test]
fn the_cap_holds_for_threads_that_race() {
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .exercise(Exercise::share(1.0).at_most(5))
        .last("cache", |_| std::future::ready(99))
        .unwrap();
    // By the real clock, since a paused one has one thread.
    let start = std::time::Instant::now();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let mut cx = Context::from_waker(Waker::noop());
                for n in 0..5_000 {
                    let primary =
                        tower::service_fn(|n: u32| std::future::ready(Ok::<_, Infallible>(n)));
                    let mut service = layer.layer(primary);
                    assert!(service.poll_ready(&mut cx).is_ready());
                    assert!(std::pin::pin!(service.call(n)).poll(&mut cx).is_ready());
                }
            });
        }
    });
    let seconds = start.elapsed().as_secs() + 2;
    let exercised = view(&layer.chain(), "cache").answered();
    assert!(
        (5..=5 * seconds).contains(&exercised),
        "{exercised} in {seconds} s"
    );
}

#[tokio::test(start_paused = true)]
async fn ten_a_second_are_the_default() {
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .exercise(1.0)
        .last("cache", |_| async { 99 })
        .unwrap();
    let mut service = layer.layer(probe().0);
    for _ in 0..100 {
        ask(&mut service, 1).await.unwrap();
    }
    assert_eq!(view(&layer.chain(), "cache").answered(), 10);
}
