//! The laws of a layer, checked over a strict probe service.

use std::convert::Infallible;

use brownout::{
    core::BoxError,
    fallback::{FallbackLayer, Tier},
};
use brownout_testing::{
    Behaviour, TestError,
    contract::{Contract, ContractProbe, Law},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimit, service_fn};

use crate::common::{down, hanging, ms, probe};

#[tokio::test(start_paused = true)]
async fn a_chain_that_may_fail_keeps_the_contract() {
    Contract::new(|inner: ContractProbe| {
        FallbackLayer::for_results()
            .safe()
            .tier_fn("nobody", |_| async {
                Err::<u32, BoxError>("nobody".into())
            })
            .build()
            .unwrap()
            .layer(inner)
    })
    .check()
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_services_with_times_keeps_the_contract() {
    Contract::new(|inner: ContractProbe| {
        FallbackLayer::for_results()
            .safe()
            .tier(Tier::new("first", down("first").0).timeout(ms(1)))
            .tier(Tier::new(
                "second",
                ConcurrencyLimit::new(down("second").0, 1),
            ))
            .within(ms(3_600_000))
            .build()
            .unwrap()
            .layer(inner)
    })
    .check()
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_always_answers_keeps_the_contract_but_hides_errors_of_readiness() {
    // `ErrorEndsTheCall`: by an answer of the last tier, here.
    Contract::new(|inner: ContractProbe| {
        FallbackLayer::for_results()
            .safe()
            .last("zero", |_| async { 0 })
            .unwrap()
            .layer(inner)
    })
    .except(Law::ReadinessErrorSurfaces)
    .check()
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tier_is_called_only_on_the_instance_that_was_ready() {
    let (tier, seen) = probe();
    let mut chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("tier", tier))
        .build()
        .unwrap()
        .layer(down("primary").0);
    for n in 0..10 {
        assert_eq!(chain.ready().await.unwrap().call(n).await.unwrap(), n);
    }
    seen.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_succeeds_touches_no_tier_and_is_polled_once() {
    let (tier, seen) = probe();
    let (primary, inner) = probe();
    inner.always(Behaviour::answer(Ok::<u32, BoxError>).yielding(9));
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("tier", tier))
        .build()
        .unwrap()
        .layer(primary);
    assert_eq!(chain.oneshot(1).await.unwrap(), 1);
    assert_eq!(inner.polls_of(0), Some(10));
    assert_eq!(seen.counts().calls, 0);
    assert_eq!(seen.counts().ready_polls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_tier_releases_its_place_before_the_next_begins() {
    // Both tiers share one place: the second gets it only when the first has let go.
    let limit = tower::limit::GlobalConcurrencyLimitLayer::new(1);
    let first = limit.layer(hanging().0);
    let second = limit.layer(probe().0);
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("first", first).timeout(ms(10)))
        .tier(Tier::new("second", second).timeout(ms(10)))
        .build()
        .unwrap()
        .layer(down("primary").0);
    assert_eq!(chain.oneshot(1).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_at_any_await_leaves_nothing_running() {
    for after in 0..4 {
        let (primary, one) = probe();
        one.always(Behaviour::answer(|_| Err(TestError::new("down").into())).yielding(1));
        let (tier, two) = probe();
        two.always(Behaviour::answer(Ok::<u32, BoxError>).yielding(2));
        let mut chain = FallbackLayer::for_results()
            .safe()
            .tier(Tier::new("tier", tier))
            .build()
            .unwrap()
            .layer(primary);
        let mut call = Box::pin(chain.ready().await.unwrap().call(1));
        for _ in 0..after {
            assert!(futures_poll(&mut call).is_pending());
        }
        drop(call);
        let begun = one.counts().calls + two.counts().calls;
        tokio::time::advance(ms(1_000)).await;
        assert_eq!(one.counts().calls + two.counts().calls, begun);
    }
}

fn futures_poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_primary_goes_on_to_the_caller_and_leaves_the_chain_usable() {
    let (primary, inner) = probe();
    inner.next(Behaviour::panic_in_poll());
    let chain = FallbackLayer::for_results()
        .safe()
        .last("zero", |_| async { 0 })
        .unwrap()
        .layer(primary);
    let panicked = tokio::spawn(chain.clone().oneshot(1)).await.unwrap_err();
    assert!(panicked.is_panic());
    let Ok::<u32, Infallible>(answer) = chain.oneshot(1).await;
    assert_eq!(answer, 1);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_above_survives_a_primary_whose_readiness_fails() {
    let (primary, inner) = probe();
    let chain = FallbackLayer::for_results()
        .safe()
        .last("zero", |_| async { 0 })
        .unwrap()
        .layer(primary);
    let buffered = ServiceBuilder::new().buffer(4).service(chain);
    inner.fail_readiness(|| "gone".into());
    assert_eq!(buffered.clone().oneshot(7).await.unwrap(), 0);
    inner.make_ready();
    assert_eq!(buffered.oneshot(7).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn no_call_spawns_a_task() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let primary = service_fn(|_: u32| async { Err::<u32, BoxError>("down".into()) });
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("hangs", hanging().0).timeout(ms(5)))
        .last("zero", |_| async { 0 })
        .unwrap()
        .layer(primary);
    let call = tokio::time::timeout(ms(1), chain.oneshot(1)).await;
    assert!(call.is_err());
    assert_eq!(tasks(), before);
}
