//! Tiers are switched off and on while the chain runs.

use std::convert::Infallible;

use brownout::{
    core::{BoxError, Origin, RejectReason, Rejected},
    fallback::{CauseKind, Exhausted, Failure, FallbackLayer, SwitchError, Tier},
};
use brownout_testing::{Behaviour, LogCapture};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};
use tracing::Level;

use crate::common::{SECOND, ask, down, history, ms, probe, search, view};

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_switched_off_is_not_asked_until_it_is_switched_on_again() {
    let (cache, seen) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .tier(Tier::new("cache", cache))
        .last("empty", |_| async { 99 })
        .unwrap();
    let chain = layer.chain();
    let mut service = layer.layer(down("primary").0);
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    for _ in 0..2 {
        chain.switch_off("cache").unwrap();
        assert!(!view(&chain, "cache").is_on());
        let before = seen.counts();
        assert_eq!(ask(&mut service, 2).await, Ok(99));
        assert_eq!(seen.counts().ready_polls, before.ready_polls);
        chain.switch_on("cache").unwrap();
        assert!(view(&chain, "cache").is_on());
        assert_eq!(ask(&mut service, 3).await, Ok(3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_switch_holds_for_calls_that_have_not_come_to_the_tier_and_leaves_those_that_have() {
    let (primary, inner) = down("primary");
    inner.always(Behaviour::answer(|_| Err("down".into())).after(ms(10)));
    let (cache, tier) = probe();
    tier.always(Behaviour::answer(Ok).after(ms(10)));
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .tier(Tier::new("cache", cache))
        .last("empty", |_| async { 99 })
        .unwrap();
    let chain = layer.chain();
    let service = layer.layer(primary);
    let early = tokio::spawn(service.clone().oneshot(1));
    tokio::time::sleep(ms(11)).await;
    let late = tokio::spawn(service.oneshot(2));
    tokio::time::sleep(ms(1)).await;
    // The first is with the cache by now, the second still with the primary.
    assert_eq!(tier.counts().in_flight, 1);
    chain.switch_off("cache").unwrap();
    assert_eq!(early.await.unwrap(), Ok(1));
    assert_eq!(late.await.unwrap(), Ok(99));
}

#[tokio::test(start_paused = true)]
async fn a_handle_switches_all_services_of_its_layer_and_of_its_clones() {
    let layer = FallbackLayer::for_results()
        .safe()
        .within(SECOND)
        .tier(Tier::new("cache", probe().0))
        .last("empty", |_| async { 99 })
        .unwrap();
    let mut before = layer.layer(down("primary").0);
    let mut clone = before.clone();
    let handle = layer.chain();
    handle.switch_off("cache").unwrap();
    let mut after = layer.layer(down("primary").0);
    let mut of_a_clone = layer.clone().layer(down("primary").0);
    assert_eq!(ask(&mut before, 1).await, Ok(99));
    assert_eq!(ask(&mut clone, 1).await, Ok(99));
    assert_eq!(ask(&mut after, 1).await, Ok(99));
    assert_eq!(ask(&mut of_a_clone, 1).await, Ok(99));
    // And each of them counts for the same handle, of which there may be many.
    assert_eq!(view(&layer.clone().chain(), "empty").answered(), 4);
    drop(layer);
    assert_eq!(view(&handle.clone(), "empty").answered(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_cannot_be_is_refused_with_what_there_is_and_changes_nothing() {
    let search = search();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .tier(Tier::new("cache", probe().0))
        .last("empty", |_| async { 99 })
        .unwrap();
    let chain = layer.chain();
    let unknown = SwitchError::Unknown {
        tier: "primary".to_owned(),
        tiers: vec!["cache", "empty"],
    };
    assert_eq!(chain.switch_off("primary"), Err(unknown.clone()));
    assert_eq!(chain.switch_on("primary"), Err(unknown.clone()));
    assert_eq!(
        unknown.to_string(),
        "there is no tier \"primary\": this chain has cache, empty"
    );
    let last = chain.switch_off("empty").unwrap_err();
    assert_eq!(last, SwitchError::Last("empty"));
    assert_eq!(
        last.to_string(),
        "the tier \"empty\" cannot be switched off: it is the last, and its chain always answers"
    );
    // On it is already, and stays.
    chain.switch_on("empty").unwrap();
    assert!(chain.tiers().all(|tier| tier.is_on()));
    assert!(history(&search).is_empty());
    let Ok::<_, Infallible>(answer) = ask(&mut layer.layer(down("primary").0), 5).await;
    assert_eq!(answer, 5);
}

#[tokio::test(start_paused = true)]
async fn the_last_tier_of_a_chain_that_may_fail_can_be_switched_off() {
    let layer = FallbackLayer::for_results()
        .safe()
        .within(SECOND)
        .tier(Tier::new("cache", probe().0))
        .build()
        .unwrap();
    let mut service = layer.layer(down("no route").0);
    layer.chain().switch_off("cache").unwrap();
    // The chain is as good as absent: what the caller gets is the primary's own.
    let error = ask(&mut service, 1).await.unwrap_err();
    assert_eq!(error.to_string(), "no route");
    assert!(!error.is::<Exhausted>());
}

/// An error type of the user's own, neither boxed nor `Clone`.
#[derive(Debug, PartialEq)]
enum Own {
    Database(u32),
    Exhausted(String),
}

impl std::fmt::Display for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl From<Exhausted> for Own {
    fn from(exhausted: Exhausted) -> Self {
        Self::Exhausted(exhausted.to_string())
    }
}

#[tokio::test(start_paused = true)]
async fn the_primarys_error_keeps_its_type_past_all_tiers_that_are_switched_off() {
    let layer = FallbackLayer::for_results()
        .safe()
        .within(SECOND)
        .tier_fn("cache", |_| async { Err::<u32, _>("of another type") })
        .tier_fn("mirror", |_| async { Err::<u32, _>(Own::Database(2)) })
        .build()
        .unwrap();
    let chain = layer.chain();
    let mut service = layer.layer(service_fn(|n: u32| async move {
        Err::<u32, _>(Own::Database(n))
    }));
    assert_eq!(ask(&mut service, 1).await, Err(Own::Database(2)));
    chain.switch_off("cache").unwrap();
    assert_eq!(ask(&mut service, 1).await, Err(Own::Database(2)));
    chain.switch_off("mirror").unwrap();
    assert_eq!(ask(&mut service, 1).await, Err(Own::Database(1)));
    // An error of a tier that is not the last has another type: the list of all stands for it.
    chain.switch_on("cache").unwrap();
    let Err(Own::Exhausted(list)) = ask(&mut service, 1).await else {
        panic!("the list of all who failed");
    };
    assert!(list.contains("cache failed"), "{list}");
    assert!(list.contains("mirror switched-off"), "{list}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_gets_its_refusal_where_the_tier_is_switched_off() {
    let search = search();
    let layer = FallbackLayer::for_results()
        .covering(&search)
        .tier(Tier::new("queue", probe().0))
        .build()
        .unwrap();
    layer.chain().switch_off("queue").unwrap();
    let refusal = Rejected::new(
        Origin::new(&search, Instant::now()),
        RejectReason::CircuitOpen,
        None,
    );
    let mut service = layer.layer(service_fn(move |_: u32| {
        let refusal = refusal.clone();
        async { Err::<u32, BoxError>(refusal.into()) }
    }));
    assert!(ask(&mut service, 1).await.unwrap_err().is::<Rejected>());
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_switched_off_is_named_among_the_failures_and_took_no_time() {
    let layer = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("cache", probe().0))
        .tier(Tier::new("mirror", down("mirror").0))
        .exhausted_fails()
        .build()
        .unwrap();
    layer.chain().switch_off("cache").unwrap();
    let mut service = layer.layer(down("primary").0);
    let error = ask(&mut service, 1).await.unwrap_err();
    let exhausted = error.downcast::<Exhausted>().unwrap();
    let told = |f: &Failure| (f.tier(), f.cause().kind(), f.elapsed());
    let zero = Some(ms(0));
    assert_eq!(
        exhausted.failures().map(told).collect::<Vec<_>>(),
        [
            ("primary", CauseKind::Failed, zero),
            ("cache", CauseKind::SwitchedOff, None),
            ("mirror", CauseKind::Failed, zero),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_switch_is_told_once_for_each_change_to_the_stream_and_to_the_log() {
    let search = search();
    let logs = LogCapture::at(Level::INFO);
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .tier(Tier::new("cache", probe().0))
        .last("empty", |_: brownout::fallback::Failed<u32>| async { 99 })
        .unwrap();
    let (one, other) = (layer.chain(), layer.chain());
    for chain in [&one, &other, &one] {
        chain.switch_off("cache").unwrap();
    }
    for chain in [&other, &one] {
        chain.switch_on("cache").unwrap();
    }
    assert_eq!(
        history(&search),
        ["pg-search: cache on: false", "pg-search: cache on: true"]
    );
    let lines: Vec<_> = logs.records().iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let off = logs.find("fallback tier switched off").unwrap();
    assert_eq!(off.level, Level::WARN);
    assert_eq!(off.field("tier"), Some("cache"));
    assert_eq!(off.field("dependency"), Some("pg-search"));
    let on = logs.find("fallback tier switched on").unwrap();
    assert_eq!(on.level, Level::INFO);
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_covers_nothing_can_be_switched_and_only_logs_it() {
    let logs = LogCapture::at(Level::INFO);
    let layer = FallbackLayer::for_results()
        .safe()
        .within(SECOND)
        .tier(Tier::new("cache", probe().0))
        .build()
        .unwrap();
    let chain = layer.chain();
    assert!(chain.dependency().is_none());
    chain.switch_off("cache").unwrap();
    let line = logs.find("fallback tier switched off").unwrap();
    assert_eq!(line.field("dependency"), None);
}

#[tokio::test(start_paused = true)]
async fn calls_in_many_tasks_and_a_switch_that_flips_never_miss_an_answer() {
    let layer = FallbackLayer::for_results()
        .safe()
        .within(SECOND)
        .tier(Tier::new("cache", probe().0))
        .last("empty", |_| async { 99 })
        .unwrap();
    let chain = layer.chain();
    let service = layer.layer(down("primary").0);
    let calls = (0..50).map(|n| {
        let mut service = service.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                let Ok::<u32, Infallible>(answer) = service.ready().await.unwrap().call(n).await;
                assert!(answer == n || answer == 99);
                tokio::task::yield_now().await;
            }
        })
    });
    let calls: Vec<_> = calls.collect();
    for n in 0..40 {
        let switched = if n % 2 == 0 {
            chain.switch_off("cache")
        } else {
            chain.switch_on("cache")
        };
        switched.unwrap();
        tokio::task::yield_now().await;
    }
    for call in calls {
        call.await.unwrap();
    }
    let asked = view(&chain, "cache").answered() + view(&chain, "empty").answered();
    assert_eq!(asked, 1_000);
    assert!(view(&chain, "cache").answered() > 0 && view(&chain, "empty").answered() > 0);
}
