//! What the model has found.

use brownout::{
    Dependency, Registry,
    fallback::{Exercise, Exhausted, FallbackLayer, Tier},
    registry::{EventKind, Order, Status},
};
use tokio::time::advance;
use tower::{Layer, Service, ServiceExt};

use crate::common::{SECOND, failing, hanging, ms, probe};

fn dependency(name: &str) -> Dependency {
    Registry::new().dependency(name).register().unwrap()
}

fn make_unhealthy(dependency: &Dependency) {
    let order = Order::new("kim", "drill", SECOND * 60);
    let ordered = dependency.override_status(Status::Unhealthy, order);
    ordered.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_those_who_were_asked_have_taken_time() {
    let search = dependency("search");
    make_unhealthy(&search);
    let layer = FallbackLayer::for_results()
        .safe()
        .within(ms(100))
        .skip_when_unhealthy(&search)
        .tier(Tier::new("off", probe().0))
        .tier(Tier::new("slow", hanging().0))
        .tier(Tier::new("late", probe().0))
        .exhausted_fails()
        .build()
        .unwrap();
    layer.chain().switch_off("off").unwrap();
    let error = layer.layer(probe().0).oneshot(1).await.unwrap_err();
    let exhausted = error.downcast_ref::<Exhausted>().unwrap();
    let times: Vec<_> = exhausted
        .failures()
        .map(|it| (it.tier(), it.elapsed()))
        .collect();
    let expected = [
        ("primary", None),
        ("off", None),
        ("slow", Some(ms(100))),
        ("late", None),
    ];
    assert_eq!(times, expected);
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_exercise_ends_the_spell_of_a_tier_that_is_no_longer_needed() {
    let search = dependency("search");
    let (primary, inner) = probe();
    let (tier, tiers) = probe();
    let mut chain = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .exercise(Exercise::share(1.0).at_most(1))
        .tier(Tier::new("tier", tier))
        .build()
        .unwrap()
        .layer(primary);
    // The exercise fails, and then the primary does.
    tiers.next(failing("not warm"));
    inner.next(failing("down"));
    assert_eq!(chain.ready().await.unwrap().call(1).await.unwrap(), 1);
    advance(SECOND * 10).await;
    assert_eq!(chain.ready().await.unwrap().call(2).await.unwrap(), 2);
    assert_eq!(inner.counts().calls, 1, "the second call is an exercise");
    let events = search.registry().recent_events();
    let ended = |kind: &EventKind| matches!(kind, EventKind::FallbackEnded { calls: 1, .. });
    assert!(events.iter().any(|event| ended(&event.kind)), "{events:?}");
}
