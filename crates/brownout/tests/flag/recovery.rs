//! How a flag comes back: in time, spread, and not all at once.

use std::time::Duration;

use brownout::{
    core::RejectReason,
    flag::{Flag, Flags},
    registry::FeatureState::{Degraded, Enabled},
};
use tokio::time::advance;

use crate::common::{MINUTE, RAMP, SECOND, TTL, come_back, exact, fail, flag, registry, trip};

const MS: Duration = Duration::from_millis(1);

fn ends_after(flag: &Flag) -> Duration {
    flag.stats().ends_after.unwrap()
}

#[tokio::test(start_paused = true)]
async fn it_is_enabled_when_the_time_is_over_though_nobody_calls() {
    let flag = flag();
    trip(&flag);
    advance(TTL - MS).await;
    assert_eq!(flag.state(), Degraded);
    advance(MS).await;
    assert_eq!(flag.state(), Enabled);
}

#[tokio::test(start_paused = true)]
async fn the_share_of_calls_let_in_climbs_to_all() {
    let flag = flag();
    trip(&flag);
    advance(TTL).await;
    let mut shares = Vec::new();
    for _ in 0..10 {
        let entered = (0..1_000).filter(|_| flag.admit().is_ok()).count();
        shares.push(entered);
        advance(RAMP / 10).await;
    }
    for (tenth, &entered) in shares.iter().enumerate() {
        let expected = tenth.max(1) * 100;
        assert!(entered.abs_diff(expected) < 60, "{shares:?}");
    }
    assert!((0..1_000).all(|_| flag.admit().is_ok()));
}

#[tokio::test(start_paused = true)]
async fn whom_a_ramp_turns_away_is_told_when_it_ends() {
    let flag = flag();
    trip(&flag);
    advance(TTL + RAMP / 2).await;
    let rejected = (0..1_000).find_map(|_| flag.admit().err());
    let rejected = rejected.unwrap();
    assert_eq!(rejected.reason(), RejectReason::FlagDegraded);
    assert_eq!(rejected.retry_after(), Some(RAMP / 2));
}

#[tokio::test(start_paused = true)]
async fn without_a_ramp_all_are_let_in_at_once() {
    let flag = exact().no_ramp().build().unwrap();
    trip(&flag);
    advance(TTL).await;
    assert!((0..1_000).all(|_| flag.admit().is_ok()));
    assert!(!flag.stats().ramping);
}

#[tokio::test(start_paused = true)]
async fn trips_that_follow_one_another_double_the_time_up_to_an_hour() {
    let flag = flag();
    let mut times = Vec::new();
    for _ in 0..6 {
        trip(&flag);
        times.push(ends_after(&flag).as_secs() / 60);
        come_back(&flag).await;
    }
    assert_eq!(times, [5, 10, 20, 40, 60, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_flag_that_falls_again_while_it_ramps_is_degraded_for_longer() {
    let flag = flag();
    trip(&flag);
    advance(TTL + RAMP / 2).await;
    let entered: Vec<_> = std::iter::repeat_with(|| flag.admit())
        .take(1_000)
        .filter_map(Result::ok)
        .take(5)
        .collect();
    entered
        .into_iter()
        .for_each(brownout::flag::Ticket::failure);
    assert_eq!(flag.state(), Degraded);
    assert_eq!(ends_after(&flag), TTL * 2);
}

#[tokio::test(start_paused = true)]
async fn a_healthy_spell_of_a_window_after_the_ramp_makes_the_next_trip_the_first() {
    for (spell, expected) in [(MINUTE - MS, TTL * 2), (MINUTE, TTL)] {
        let flag = flag();
        trip(&flag);
        advance(TTL + RAMP + spell).await;
        fail(&flag, 5);
        assert_eq!(ends_after(&flag), expected, "after {spell:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_healthy_spell_is_as_long_for_a_flag_that_nobody_asked() {
    // Nobody looks between the trip and the next failure but one, an hour later.
    let flag = flag();
    let late = flag.admit().unwrap();
    trip(&flag);
    advance(MINUTE * 60).await;
    late.failure();
    fail(&flag, 5);
    assert_eq!(ends_after(&flag), TTL);
}

#[tokio::test(start_paused = true)]
async fn times_are_spread_by_a_fifth_in_both_directions() {
    let flags = Flags::new(&registry());
    let times: Vec<_> = (0..400)
        .map(|n| {
            let flag = flags.flag(format!("flag{n}")).unwrap();
            trip(&flag);
            ends_after(&flag).as_secs_f64()
        })
        .collect();
    let (least, most) = times.iter().fold((f64::MAX, 0.0), |(least, most), &time| {
        (time.min(least), time.max(most))
    });
    assert!((240.0..250.0).contains(&least), "{least}");
    assert!((350.0..=360.0).contains(&most), "{most}");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_makes_the_same_choices() {
    let run = async || {
        let flag = Flags::new(&registry()).flag("ml_recs").unwrap();
        trip(&flag);
        let time = ends_after(&flag);
        advance(time + RAMP / 3).await;
        let entered: Vec<_> = (0..100).map(|_| flag.admit().is_ok()).collect();
        (time, entered)
    };
    assert_eq!(run().await, run().await);
}

#[tokio::test(start_paused = true)]
async fn with_full_jitter_it_is_degraded_for_a_moment_at_least() {
    let flags = Flags::new(&registry());
    for n in 0..200 {
        let builder = flags.builder(format!("flag{n}")).jitter(1.0).ttl(MS);
        let flag = builder.build().unwrap();
        trip(&flag);
        assert!(ends_after(&flag) >= MS);
    }
}

#[tokio::test(start_paused = true)]
async fn the_window_begins_empty_when_it_comes_back() {
    let flag = exact().window(MINUTE * 60).no_ramp().build().unwrap();
    trip(&flag);
    advance(TTL).await;
    assert_eq!(flag.stats().window_failures, 0);
    fail(&flag, 4);
    assert_eq!(flag.state(), Enabled);
    advance(SECOND).await;
    fail(&flag, 1);
    assert_eq!(flag.state(), Degraded);
}
