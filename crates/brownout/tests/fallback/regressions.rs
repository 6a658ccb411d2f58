//! What the model has found.

use brownout::{
    Dependency, Registry,
    core::{Origin, RejectReason, Rejected},
    fallback::{Exercise, Exhausted, FallbackLayer, Tier},
    registry::{EventKind, Order, Status},
};
use brownout_testing::Behaviour;
use tokio::time::{Instant, advance};
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

fn refusal(by: &Dependency) -> Rejected {
    Rejected::new(
        Origin::new(by, Instant::now()),
        RejectReason::CircuitOpen,
        None,
    )
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

#[tokio::test(start_paused = true)]
async fn a_last_tier_whose_dependency_is_unhealthy_is_not_exercised() {
    let (search, copies) = (dependency("search"), dependency("copies"));
    let mut chain = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .exercise(1.0)
        .tier_stands_for("copy", &copies)
        .last("copy", |_| async { 7 })
        .unwrap()
        .layer(probe().0);
    make_unhealthy(&copies);
    let Ok(answer) = chain.ready().await.unwrap().call(1).await;
    assert_eq!(answer, 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_finds_its_tier_switched_off_takes_no_place_of_an_exercise() {
    let search = dependency("search");
    let (tier, tiers) = probe();
    tiers.always(Behaviour::answer(|n| Ok(n + 100)));
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .exercise(Exercise::share(1.0).at_most(1))
        .tier(Tier::new("tier", tier))
        .build()
        .unwrap();
    let mut chain = layer.layer(probe().0);
    layer.chain().switch_off("tier").unwrap();
    assert_eq!(chain.ready().await.unwrap().call(1).await.unwrap(), 1);
    layer.chain().switch_on("tier").unwrap();
    assert_eq!(chain.ready().await.unwrap().call(2).await.unwrap(), 102);
    assert_eq!(chain.ready().await.unwrap().call(3).await.unwrap(), 3);
}

/// A tier that does two things may be refused the second when the first is done.
#[tokio::test(start_paused = true)]
async fn a_tier_that_stands_for_a_dependency_is_trusted_with_no_other_ones_refusals() {
    for (guard, trusted) in [("backup", true), ("mail", false)] {
        let (ledger, backup, refusing) = (
            dependency("ledger"),
            dependency("backup"),
            dependency(guard),
        );
        let (tier, inner) = probe();
        inner.always(Behaviour::answer(move |_| Err(refusal(&refusing).into())));
        let (primary, inner) = probe();
        inner.fail_readiness(|| "closed".into());
        let chain = FallbackLayer::for_results()
            .covering(&ledger)
            .tier_stands_for("backup", &backup)
            .tier(Tier::new("backup", tier))
            .tier(Tier::new("queue", probe().0))
            .build()
            .unwrap()
            .layer(primary);
        assert_eq!(chain.oneshot(1).await.is_ok(), trusted, "{guard}");
    }
}
