//! Marks, events and log lines.

use std::sync::{Arc, Mutex};

use brownout::{
    Dependency, Registry,
    core::{BoxError, DegradeReason, Degraded},
    fallback::{FallbackLayer, Tier},
    registry::{DegradationLevel, EventKind, Order},
};
use brownout_testing::Behaviour;
use tokio::time::advance;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::common::{SECOND, down, failing, ms, probe};

fn dependency() -> Dependency {
    let registry = Registry::new();
    let search = registry.dependency("pg-search").public_name("search");
    search.register().unwrap()
}

fn history(dependency: &Dependency) -> Vec<String> {
    let events = dependency.registry().recent_events();
    let said = events.iter().filter_map(|event| match &event.kind {
        EventKind::FallbackServed {
            dependency,
            tier,
            reason,
        } => Some(format!("{dependency}: {tier} serves: {reason}")),
        EventKind::FallbackEnded { tier, calls, .. } => Some(format!("{tier} ended after {calls}")),
        _ => None,
    });
    said.collect()
}

#[tokio::test(start_paused = true)]
async fn a_spell_of_a_tier_is_two_events_however_many_calls_it_serves() {
    let search = dependency();
    let (primary, inner) = probe();
    let mut chain = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .last("empty", |_| async { 0 })
        .unwrap()
        .layer(primary);
    let mut call = async |fails: bool| {
        if fails {
            inner.next(failing("down"));
        }
        let Ok(_) = chain.ready().await.unwrap().call(1).await;
    };
    for n in 0..1_000 {
        // Half of the calls fail: still one spell.
        call(n % 2 == 0).await;
        advance(ms(100)).await;
    }
    assert_eq!(history(&search), ["pg-search: empty serves: failed"]);
    advance(ms(9_700)).await;
    call(false).await;
    assert_eq!(history(&search).len(), 1, "9.9 s after the last failure");
    advance(ms(100)).await;
    call(false).await;
    call(false).await;
    assert_eq!(history(&search)[1..], ["empty ended after 500"]);
    call(true).await;
    assert_eq!(history(&search)[2..], ["pg-search: empty serves: failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_spell_that_served_many_threads_is_told_as_one_with_the_calls_of_all() {
    let search = dependency();
    let (primary, inner) = down("primary");
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .last("empty", |_| async { 0 })
        .unwrap();
    let mut chain = layer.layer(primary);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            let mut chain = chain.clone();
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                runtime.unwrap().block_on(async move {
                    for _ in 0..10 {
                        let Ok(_) = chain.ready().await.unwrap().call(1).await;
                    }
                });
            });
        }
    });
    let views: Vec<_> = layer.chain().tiers().map(|tier| tier.answered()).collect();
    assert_eq!(views, [120]);
    assert_eq!(history(&search), ["pg-search: empty serves: failed"]);
    inner.always(Behaviour::answer(Ok));
    // The other threads' clocks were not paused.
    advance(SECOND * 600).await;
    let Ok(_) = chain.ready().await.unwrap().call(1).await;
    assert_eq!(history(&search)[1..], ["empty ended after 120"]);
}

#[tokio::test(start_paused = true)]
async fn tiers_that_take_turns_have_a_spell_each_and_one_that_is_no_longer_needed_ends() {
    let search = dependency();
    let (cache, inner) = probe();
    let mut chain = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .tier(Tier::new("cache", cache))
        .last("empty", |_| async { 0 })
        .unwrap()
        .layer(down("primary").0);
    for n in 0..100 {
        if n % 2 == 0 {
            inner.next(failing("miss"));
        }
        let Ok(_) = chain.ready().await.unwrap().call(1).await;
    }
    let begun = [
        "pg-search: empty serves: failed",
        "pg-search: cache serves: failed",
    ];
    assert_eq!(history(&search), begun);
    advance(SECOND * 10).await;
    let Ok(_) = chain.ready().await.unwrap().call(1).await;
    assert_eq!(history(&search)[2..], ["empty ended after 50"]);
}

#[tokio::test(start_paused = true)]
async fn each_answer_of_a_tier_is_marked_and_no_other_one() {
    let search = dependency();
    let order = Order::new("kim", "drill", SECOND * 60);
    search
        .registry()
        .override_level(DegradationLevel::Reduced, order)
        .unwrap();
    let marks = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&marks);
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .mark_with(move |answer: &mut u32, mark: Degraded| {
            *answer += 1_000;
            seen.lock().unwrap().push(mark);
        })
        .last("empty", |_| async { 0 })
        .unwrap();
    let Ok(answer) = layer.layer(probe().0).oneshot(1).await;
    assert_eq!(answer, 1);
    assert!(marks.lock().unwrap().is_empty());
    let Ok(answer) = layer.layer(down("primary").0).oneshot(1).await;
    assert_eq!(answer, 1_000);
    let mut mark = Degraded::new(DegradeReason::Failed);
    mark.dependency = Some("search".into());
    mark.tier = Some("empty".into());
    mark.level = DegradationLevel::Reduced;
    assert_eq!(*marks.lock().unwrap(), [mark]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_marked_or_recorded_before_the_future_is_polled() {
    let search = dependency();
    let primary = service_fn(|_: u32| async { Err::<u32, BoxError>("down".into()) });
    let mut chain = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .last("empty", |_| async { 0 })
        .unwrap()
        .layer(primary);
    let call = chain.ready().await.unwrap().call(1);
    assert!(history(&search).is_empty());
    let Ok(_) = call.await;
    assert_eq!(history(&search).len(), 1);
}
