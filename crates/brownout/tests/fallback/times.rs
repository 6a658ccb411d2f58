//! Times, to the millisecond.

use std::convert::Infallible;

use brownout::fallback::{CauseKind, FallbackLayer, Tier};
use brownout_testing::Behaviour;
use tokio::time::{Instant, sleep};
use tower::Layer;

use crate::common::{down, failing, hanging, ms, probe};

#[tokio::test(start_paused = true)]
async fn a_tier_is_given_up_at_its_own_timeout_readiness_included() {
    let (unready, inner) = probe();
    inner.make_pending();
    for tier in [hanging().0, unready] {
        let chain = FallbackLayer::for_results()
            .safe()
            .tier(Tier::new("tier", tier).timeout(ms(40)))
            .last("last", |_| async { 0 })
            .unwrap()
            .layer(down("primary").0);
        let start = Instant::now();
        let Ok::<u32, Infallible>(_) = chain.oneshot(1).await;
        assert_eq!(start.elapsed(), ms(40));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_the_very_end_still_counts() {
    let (tier, inner) = probe();
    inner.always(Behaviour::answer(Ok).after(ms(40)));
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("tier", tier).timeout(ms(40)))
        .last("last", |_| async { 0 })
        .unwrap()
        .layer(down("primary").0);
    let Ok::<u32, Infallible>(answer) = chain.oneshot(9).await;
    assert_eq!(answer, 9);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_the_primary_and_skips_what_cannot_begin() {
    let (tier, seen) = probe();
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("tier", tier))
        .within(ms(100))
        .last("last", |f| {
            let kinds: Vec<_> = f
                .failures()
                .map(|f| (f.tier(), f.cause().text().to_owned()))
                .collect();
            assert_eq!(kinds[0], ("primary", "no answer in time".to_owned()));
            assert_eq!(
                kinds[1],
                ("tier", "skipped: the deadline has passed".to_owned())
            );
            async { 0 }
        })
        .unwrap()
        .layer(hanging().0);
    let start = Instant::now();
    let Ok::<u32, Infallible>(answer) = chain.oneshot(1).await;
    assert_eq!((answer, start.elapsed()), (0, ms(100)));
    assert_eq!(seen.counts().ready_polls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_tier_gets_what_remains_of_the_deadline() {
    let (primary, inner) = down("primary");
    inner.always(failing("down").after(ms(70)));
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("tier", hanging().0).timeout(ms(50)))
        .within(ms(100))
        .last("last", |f| {
            assert_eq!(f.cause().kind(), CauseKind::TimedOut);
            let times: Vec<_> = f.failures().map(|f| f.elapsed().unwrap()).collect();
            assert_eq!(times, [ms(70), ms(30)]);
            async { 0 }
        })
        .unwrap()
        .layer(primary);
    let start = Instant::now();
    let Ok::<u32, Infallible>(_) = chain.oneshot(1).await;
    assert_eq!(start.elapsed(), ms(100));
}

#[tokio::test(start_paused = true)]
async fn each_timeout_is_counted_from_its_own_tiers_beginning() {
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("a", hanging().0).timeout(ms(30)))
        .tier(Tier::new("b", hanging().0).timeout(ms(20)))
        .tier(Tier::new("c", hanging().0).timeout(ms(10)))
        .last("last", |_| async { 0 })
        .unwrap()
        .layer(down("primary").0);
    let start = Instant::now();
    let Ok::<u32, Infallible>(_) = chain.oneshot(1).await;
    assert_eq!(start.elapsed(), ms(60));
}

#[tokio::test(start_paused = true)]
async fn nothing_bounds_a_last_tier_that_always_answers() {
    let chain = FallbackLayer::for_results()
        .safe()
        .within(ms(10))
        .last("last", |_| async {
            sleep(ms(500)).await;
            3
        })
        .unwrap()
        .layer(hanging().0);
    let start = Instant::now();
    let Ok::<u32, Infallible>(answer) = chain.oneshot(1).await;
    assert_eq!((answer, start.elapsed()), (3, ms(510)));
}
