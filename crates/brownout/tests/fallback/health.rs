//! How each tier does, and what is told of it to the dependency that it stands for.

use std::convert::Infallible;

use brownout::{
    Dependency,
    breaker::Circuit,
    core::{BoxError, Verdict},
    fallback::{CauseKind, FallbackLayer, Tier},
    registry::{Report, ReporterKind, Status},
};
use brownout_testing::Behaviour;
use tokio::time::advance;
use tower::Layer;

use crate::common::{SECOND, ask, down, failing, hanging, impose, ms, probe, search, view};

fn mirror(of: &Dependency) -> Dependency {
    of.registry().dependency("mirror").register().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_tier_is_degraded_after_a_failure_unhealthy_after_three_in_a_row_and_healthy_after_an_answer()
 {
    let (cache, inner) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .tier(Tier::new("cache", cache))
        .last("empty", |_| async { 99 })
        .unwrap();
    let chain = layer.chain();
    let mut service = layer.layer(down("primary").0);
    assert_eq!(view(&chain, "cache").status(), Status::Unknown);
    let steps = [
        (true, Status::Healthy),
        (false, Status::Degraded),
        (false, Status::Degraded),
        (true, Status::Healthy),
        (false, Status::Degraded),
        (false, Status::Degraded),
        (false, Status::Unhealthy),
        (false, Status::Unhealthy),
        (true, Status::Healthy),
    ];
    for (n, (works, status)) in steps.into_iter().enumerate() {
        if !works {
            inner.next(failing("cache miss"));
        }
        let Ok::<u32, Infallible>(_) = ask(&mut service, 1).await;
        assert_eq!(view(&chain, "cache").status(), status, "step {n}");
    }
    let cache = view(&chain, "cache");
    assert_eq!((cache.answered(), cache.failed()), (3, 6));
    // It is told long after as well: the next answer does not undo what was seen.
    assert_eq!(cache.last_failure().unwrap().text(), "cache miss");
    let empty = view(&chain, "empty");
    assert_eq!((empty.answered(), empty.failed()), (6, 0));
    assert!(empty.last_failure().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_first_failure_is_known_though_nothing_was_ever_answered() {
    let layer = FallbackLayer::for_results()
        .safe()
        .within(SECOND)
        .tier(Tier::new("cache", down("gone").0))
        .last("empty", |_| async { 99 })
        .unwrap();
    let Ok::<u32, Infallible>(_) = layer.layer(down("primary").0).oneshot(1).await;
    assert_eq!(view(&layer.chain(), "cache").status(), Status::Degraded);
}

#[tokio::test(start_paused = true)]
async fn errors_timeouts_readiness_and_bad_answers_all_count_against_a_tier() {
    let judge = |r: Result<&u32, &BoxError>| match r {
        Ok(n) if *n < 1_000 => Verdict::Success,
        _ => Verdict::Failure,
    };
    let (unready, gone) = probe();
    gone.fail_readiness(|| "pool closed".into());
    let (stuck, never) = probe();
    never.make_pending();
    let (bad, answers) = probe();
    answers.always(Behaviour::answer(|n| Ok(n + 1_000)));
    let tiers = [
        (down("refused").0, CauseKind::Failed, "refused"),
        (hanging().0, CauseKind::TimedOut, "no answer in time"),
        (stuck, CauseKind::TimedOut, "no answer in time"),
        (unready, CauseKind::NotReady, "pool closed"),
        (bad, CauseKind::Failed, "its answer is a failure"),
    ];
    for (tier, kind, text) in tiers {
        let layer = FallbackLayer::for_results()
            .safe()
            .classify(judge)
            .covering(&search())
            .tier(Tier::new("tier", tier).timeout(ms(5)))
            .last("empty", |_| async { 99 })
            .unwrap();
        let Ok::<u32, Infallible>(_) = layer.layer(down("primary").0).oneshot(1).await;
        let tier = view(&layer.chain(), "tier");
        assert_eq!((tier.answered(), tier.failed()), (0, 1), "{text}");
        let cause = tier.last_failure().unwrap();
        assert_eq!((cause.kind(), cause.text()), (kind, text));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_was_not_asked_is_neither_praised_nor_blamed() {
    let (primary, inner) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .within(ms(20))
        .tier(Tier::new("off", probe().0))
        .tier(Tier::new("hangs", hanging().0))
        .tier(Tier::new("late", probe().0))
        .last("empty", |_| async { 99 })
        .unwrap();
    let chain = layer.chain();
    chain.switch_off("off").unwrap();
    let mut service = layer.layer(primary);
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    assert!(chain.tiers().all(|tier| tier.status() == Status::Unknown));
    inner.always(failing("down"));
    assert_eq!(ask(&mut service, 1).await, Ok(99));
    let seen: Vec<_> = chain
        .tiers()
        .map(|tier| (tier.name(), tier.answered(), tier.failed()))
        .collect();
    assert_eq!(
        seen,
        [
            ("off", 0, 0),
            ("hangs", 0, 1),
            ("late", 0, 0),
            ("empty", 1, 0)
        ]
    );
    // One whose caller left before it answered has not failed.
    let left = tokio::time::timeout(ms(5), ask(&mut service, 1)).await;
    assert!(left.is_err());
    assert_eq!(view(&chain, "hangs").failed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tier_reports_to_the_dependency_that_it_stands_for_as_observed_traffic() {
    let search = search();
    let mirror = mirror(&search);
    let (tier, inner) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .tier_stands_for("mirror", &mirror)
        .tier(Tier::new("mirror", tier))
        .last("empty", |_| async { 99 })
        .unwrap();
    let mut service = layer.layer(down("primary").0);
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    assert_eq!(mirror.status(), Status::Healthy);
    inner.always(failing("10.0.0.7 reset"));
    for status in [Status::Degraded, Status::Degraded, Status::Unhealthy] {
        assert_eq!(ask(&mut service, 1).await, Ok(99));
        assert_eq!(mirror.status(), status);
        // A gate in front of the mirror must not close for it.
        assert_eq!(mirror.status_without_traffic(), Status::Healthy);
    }
    let snapshot = mirror.registry().snapshot();
    let [report] = snapshot.dependency("mirror").unwrap().reports.as_slice() else {
        panic!("one report");
    };
    assert_eq!(report.kind, ReporterKind::Traffic);
    assert_eq!(report.private_detail.as_deref(), Some("10.0.0.7 reset"));
    // Strangers may read the message.
    assert!(!report.message.as_deref().unwrap().contains("10.0.0.7"));
    assert_eq!(search.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn what_a_tier_has_reported_of_its_failures_is_forgotten_after_a_minute() {
    let search = search();
    let mirror = mirror(&search);
    let (tier, inner) = down("mirror");
    let layer = FallbackLayer::for_results()
        .safe()
        .tier_stands_for("mirror", &mirror)
        .tier(Tier::new("mirror", tier))
        .last("empty", |_| async { 99 })
        .unwrap();
    let mut service = layer.layer(down("primary").0);
    for _ in 0..3 {
        ask(&mut service, 1).await.unwrap();
    }
    advance(ms(59_999)).await;
    assert_eq!(mirror.status(), Status::Unhealthy);
    advance(ms(1)).await;
    assert_eq!(mirror.status(), Status::Healthy);
    // The chain itself remembers, until the tier answers.
    assert_eq!(view(&layer.chain(), "mirror").status(), Status::Unhealthy);
    // And an answer is good news at once.
    ask(&mut service, 1).await.unwrap();
    assert_eq!(mirror.status(), Status::Unhealthy);
    inner.always(Behaviour::answer(Ok));
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    assert_eq!(mirror.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn what_a_chain_has_reported_is_withdrawn_with_its_last_handle() {
    let search = search();
    let mirror = mirror(&search);
    let layer = FallbackLayer::for_results()
        .safe()
        .tier_stands_for("mirror", &mirror)
        .tier(Tier::new("mirror", down("mirror").0))
        .last("empty", |_| async { 99 })
        .unwrap();
    let chain = layer.chain();
    ask(&mut layer.layer(down("primary").0), 1).await.unwrap();
    drop(layer);
    assert_eq!(mirror.status(), Status::Degraded);
    drop(chain);
    assert_eq!(mirror.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_stands_for_a_dependency_may_be_added_later_but_not_never() {
    let mirror = mirror(&search());
    let layer = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("cache", probe().0))
        .tier_stands_for("miror", &mirror)
        .last("empty", |_: brownout::fallback::Failed<u32>| async { 99 });
    let error = layer.unwrap_err();
    assert_eq!(error.field(), "tier_stands_for");
    assert_eq!(
        error.to_string(),
        "`tier_stands_for` cannot be \"miror\": there is no such tier; there is cache, empty"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tier_is_passed_over_while_a_probe_or_a_person_calls_its_dependency_unhealthy() {
    let search = search();
    let mirror = mirror(&search);
    let (tier, seen) = probe();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .tier_stands_for("mirror", &mirror)
        .tier(Tier::new("mirror", tier))
        .last("empty", |f| {
            let last = f.failures().last().unwrap();
            assert_eq!(last.tier(), "mirror");
            assert_eq!(last.cause().kind(), CauseKind::Unhealthy);
            async { 99 }
        })
        .unwrap();
    let chain = layer.chain();
    let mut service = layer.layer(down("primary").0);
    let person = impose(&mirror, Status::Unhealthy);
    assert_eq!(ask(&mut service, 1).await, Ok(99));
    mirror.registry().release(person).unwrap();
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    let probe = mirror.reporter(ReporterKind::Probe, "probe");
    probe.report(Report::unhealthy("cannot be reached"));
    assert_eq!(ask(&mut service, 1).await, Ok(99));
    // Degraded is no reason to do without it.
    probe.report(Report::degraded("slow"));
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    assert_eq!(seen.counts().calls, 2);
    assert_eq!(view(&chain, "mirror").failed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_tier_is_never_passed_over_for_its_own_failures_nor_for_a_circuit_so_that_it_comes_back()
{
    let search = search();
    let mirror = mirror(&search);
    let circuit = Circuit::new(&mirror);
    let (tier, inner) = down("mirror");
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .tier_stands_for("mirror", &mirror)
        .tier(Tier::new("mirror", tier))
        .last("empty", |_| async { 99 })
        .unwrap();
    let chain = layer.chain();
    let mut service = layer.layer(down("primary").0);
    circuit.admit().unwrap().settle(Verdict::Trip {
        open_for: SECOND * 30,
    });
    for _ in 0..10 {
        assert_eq!(ask(&mut service, 1).await, Ok(99));
    }
    assert_eq!(mirror.status(), Status::Unhealthy);
    assert_eq!(view(&chain, "mirror").status(), Status::Unhealthy);
    assert_eq!(inner.counts().calls, 10);
    inner.always(Behaviour::answer(Ok));
    assert_eq!(ask(&mut service, 1).await, Ok(1));
    assert_eq!(view(&chain, "mirror").status(), Status::Healthy);
}
