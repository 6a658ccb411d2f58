//! Waiting, and leaving: chains with times, names and exercises hold to the laws of a layer.

use brownout::{
    core::BoxError,
    fallback::{FallbackLayer, Tier},
    registry::Status,
};
use brownout_testing::{
    Behaviour, assert_no_busy_polling,
    contract::{Contract, ContractProbe, check_layer_contract},
    drop_at_each_await,
};
use tokio::time::advance;
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit};

use crate::common::{
    SECOND, ask, down, failing, hanging, impose, ms, probe, search, uncapped, view,
};

const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn a_chain_with_everything_keeps_the_contract() {
    check_layer_contract(|inner: ContractProbe| {
        let search = search();
        FallbackLayer::for_results()
            .safe()
            .covering(&search)
            .within(HOUR)
            .skip_when_unhealthy(&search)
            .tier_stands_for("first", &search)
            .tier(Tier::new("first", down("first").0).timeout(ms(1)))
            .tier_fn("second", |_| async {
                Err::<u32, BoxError>("second".into())
            })
            .build()
            .unwrap()
            .layer(inner)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_exercises_a_tier_with_each_call_keeps_the_contract() {
    // Each call comes to the primary only after the exercise, on the instance that was ready.
    check_layer_contract(|inner: ContractProbe| {
        FallbackLayer::for_results()
            .safe()
            .covering(&search())
            .exercise(uncapped(1.0))
            .tier(Tier::new("broken", down("broken").0))
            .build()
            .unwrap()
            .layer(inner)
    })
    .await;
    check_layer_contract(|inner: ContractProbe| {
        FallbackLayer::for_results()
            .safe()
            .covering(&search())
            .within(HOUR)
            .exercise(uncapped(0.5).patience(ms(2)))
            .tier(Tier::new("slow", ConcurrencyLimit::new(hanging().0, 1)).timeout(ms(5)))
            .build()
            .unwrap()
            .layer(inner)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_whose_primary_is_passed_over_keeps_the_contract_of_its_tier() {
    // Seen from the caller, the tier is the service.
    Contract::new(|tier: ContractProbe| {
        let search = search();
        impose(&search, Status::Unhealthy);
        let (never, inner) = probe();
        inner.make_pending();
        FallbackLayer::for_results()
            .safe()
            .covering(&search)
            .within(HOUR)
            .skip_when_unhealthy(&search)
            .tier(Tier::new("tier", tier))
            .build()
            .unwrap()
            .layer(never)
    })
    .check()
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_at_any_await_leaves_nothing_and_nobody_is_blamed() {
    let search = search();
    let (primary, one) = probe();
    one.always(failing("down").yielding(2));
    let (first, two) = probe();
    two.always(failing("miss").yielding(3));
    let (second, three) = probe();
    three.always(Behaviour::answer(Ok).yielding(2).after(ms(5)));
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .within(HOUR)
        .exercise(uncapped(1.0))
        .tier(Tier::new("first", first).timeout(SECOND))
        .tier(Tier::new("second", second).timeout(SECOND))
        .build()
        .unwrap();
    let service = layer.layer(ConcurrencyLimit::new(primary, 1));
    let polls = drop_at_each_await(
        || service.clone().oneshot(1),
        |polls| {
            for handle in [&one, &two, &three] {
                assert!(handle.counts().is_idle(), "after {polls} polls");
            }
        },
    )
    .await;
    // The exercise, the primary, the first tier in earnest, the second; the sleep of the last; and the end.
    assert_eq!(polls, 3 + 2 + 3 + 2 + 1 + 1);
    assert_eq!(view(&layer.chain(), "second").answered(), 1);
    assert_eq!(view(&layer.chain(), "second").failed(), 0);
    let begun = (one.counts().calls, two.counts().calls, three.counts().calls);
    advance(HOUR).await;
    let in_the_end = (one.counts().calls, two.counts().calls, three.counts().calls);
    assert_eq!(begun, in_the_end);
}

#[tokio::test(start_paused = true)]
async fn nothing_polls_busily_while_it_waits() {
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .within(SECOND)
        .exercise(uncapped(1.0).patience(ms(50)))
        .tier(Tier::new("first", hanging().0).timeout(ms(100)))
        .last("empty", |_| async { 99 })
        .unwrap();
    let (primary, inner) = probe();
    inner.always(failing("down").after(ms(100)));
    let (never, _kept) = hanging();
    // Asked, then woken by each time that is over: of the exercise, of the primary, of the tier.
    let mut service = layer.layer(primary);
    let answer = assert_no_busy_polling(ask(&mut service, 1), HOUR, 4).await;
    assert_eq!(answer, Some(Ok(99)));
    // The exercise, then the deadline.
    let mut service = layer.layer(never);
    let answer = assert_no_busy_polling(ask(&mut service, 1), HOUR, 3).await;
    assert_eq!(answer, Some(Ok(99)));
}

#[tokio::test(start_paused = true)]
async fn no_watched_call_spawns_a_task_or_goes_on_behind_one_that_has_left() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let (tier, seen) = probe();
    let (slow, inner) = probe();
    inner.always(failing("down").after(ms(10)));
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .within(SECOND)
        .exercise(uncapped(1.0).patience(ms(5)))
        .tier(Tier::new("hangs", hanging().0).timeout(ms(5)))
        .tier(Tier::new("tier", tier))
        .build()
        .unwrap();
    let mut service = layer.layer(slow);
    for patience in [2, 7, 12, 17] {
        let left = tokio::time::timeout(ms(patience), ask(&mut service, 1)).await;
        assert!(left.is_err());
        assert_eq!(tasks(), before);
    }
    advance(HOUR).await;
    assert_eq!(seen.counts().ready_polls, 0);
    assert_eq!(ask(&mut service, 1).await.unwrap(), 1);
    drop(service);
    inner.assert_contract_kept();
    assert_eq!(inner.counts().instances, 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_polled_asks_nobody_and_tells_nobody() {
    let search = search();
    let (tier, seen) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .exercise(uncapped(1.0))
        .tier(Tier::new("tier", tier))
        .build()
        .unwrap();
    let (primary, inner) = probe();
    let mut service = layer.layer(primary);
    for _ in 0..10 {
        drop(service.ready().await.unwrap().call(1));
    }
    assert_eq!(seen.counts().ready_polls, 0);
    assert_eq!(inner.counts().calls, 0);
    assert!(inner.counts().is_idle());
    assert_eq!(view(&layer.chain(), "tier").status(), Status::Unknown);
}
