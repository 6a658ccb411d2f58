//! What degrades a flag, and what does not.

use brownout::{
    core::{RejectReason, Verdict},
    registry::FeatureState::{Degraded, Enabled},
};
use tokio::time::advance;

use crate::common::{MINUTE, SECOND, TTL, exact, fail, flag, succeed, trip};

#[tokio::test(start_paused = true)]
async fn a_flag_that_nobody_knows_anything_of_is_enabled() {
    let flag = flag();
    assert_eq!(flag.state(), Enabled);
    assert!(flag.admit().is_ok());
    assert_eq!(flag.stats().ends_after, None);
}

#[tokio::test(start_paused = true)]
async fn five_errors_within_a_minute_degrade_it_for_five() {
    let flag = flag();
    for _ in 0..4 {
        fail(&flag, 1);
        advance(SECOND * 10).await;
    }
    assert_eq!(flag.state(), Enabled);
    fail(&flag, 1);
    assert_eq!(flag.state(), Degraded);
    let rejected = flag.admit().unwrap_err();
    assert_eq!(rejected.reason(), RejectReason::FlagDegraded);
    assert_eq!(rejected.dependency(), "ml_recs");
    assert_eq!(rejected.retry_after(), Some(TTL));
}

#[tokio::test(start_paused = true)]
async fn an_error_counts_for_a_minute_in_steps_of_five_seconds() {
    let flag = flag();
    fail(&flag, 4);
    advance(MINUTE - SECOND / 1000).await;
    assert_eq!(flag.stats().window_failures, 4);
    advance(SECOND / 1000).await;
    assert_eq!(flag.stats().window_failures, 0);
    fail(&flag, 4);
    assert_eq!(flag.state(), Enabled);
    advance(MINUTE - SECOND * 5).await;
    fail(&flag, 1);
    assert_eq!(flag.state(), Degraded);
}

#[tokio::test(start_paused = true)]
async fn a_busy_service_is_not_switched_off_by_a_failure_in_ten_thousand() {
    let flag = flag();
    for _ in 0..50 {
        succeed(&flag, 999);
        fail(&flag, 1);
        advance(SECOND).await;
    }
    assert_eq!(flag.state(), Enabled);
    let classic = exact().min_ratio(0.0).build().unwrap();
    succeed(&classic, 10_000);
    fail(&classic, 5);
    assert_eq!(classic.state(), Degraded);
}

#[tokio::test(start_paused = true)]
async fn the_ratio_is_reached_exactly_and_never_rounded() {
    for (successes, expected) in [(95, Degraded), (96, Enabled)] {
        let flag = flag();
        succeed(&flag, successes);
        fail(&flag, 5);
        assert_eq!(flag.state(), expected, "5 of {}", successes + 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_ratio_of_everything_is_reached_only_when_everything_fails() {
    let strict = || exact().min_ratio(1.0).build().unwrap();
    let flag = strict();
    succeed(&flag, 1);
    fail(&flag, 100);
    assert_eq!(flag.state(), Enabled);
    let flag = strict();
    fail(&flag, 5);
    assert_eq!(flag.state(), Degraded);
}

#[tokio::test(start_paused = true)]
async fn one_error_can_be_enough() {
    let flag = exact().errors(1).build().unwrap();
    succeed(&flag, 19);
    fail(&flag, 1);
    assert_eq!(flag.state(), Degraded);
}

#[tokio::test(start_paused = true)]
async fn success_never_degrades_at_any_setting() {
    let flag = exact().errors(1).min_ratio(0.0).build().unwrap();
    succeed(&flag, 1_000);
    assert_eq!(flag.state(), Enabled);
}

#[tokio::test(start_paused = true)]
async fn successes_of_a_quiet_hour_do_not_count_in_the_minute_of_the_errors() {
    let flag = flag();
    // Fewer than anybody dates, one a minute for an hour.
    for _ in 0..60 {
        succeed(&flag, 1);
        advance(MINUTE).await;
    }
    assert!(flag.stats().window_calls <= 1, "{:?}", flag.stats());
    fail(&flag, 5);
    assert_eq!(flag.state(), Degraded);
}

#[tokio::test(start_paused = true)]
async fn a_burst_after_a_quiet_night_counts_in_its_own_minute() {
    let flag = flag();
    succeed(&flag, 10);
    advance(MINUTE * 600).await;
    succeed(&flag, 1_000);
    advance(SECOND * 10).await;
    fail(&flag, 5);
    // All but those that came before the burst was first looked at.
    assert!(flag.stats().window_calls > 900, "{:?}", flag.stats());
    assert_eq!(flag.state(), Enabled);
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_counts_for_nothing() {
    let flag = flag();
    for _ in 0..100 {
        flag.admit().unwrap().settle(Verdict::Neutral);
        drop(flag.admit().unwrap());
    }
    let stats = flag.stats();
    assert_eq!((stats.window_calls, stats.window_failures), (0, 0));
    assert_eq!((stats.totals.neutral, stats.totals.abandoned), (100, 100));
    fail(&flag, 5);
    assert_eq!(flag.state(), Degraded);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_asks_to_be_left_alone_has_failed_once() {
    let flag = flag();
    let open_for = TTL;
    for _ in 0..4 {
        flag.admit().unwrap().settle(Verdict::Trip { open_for });
    }
    assert_eq!(flag.state(), Enabled);
    flag.admit().unwrap().settle(Verdict::Trip { open_for });
    assert_eq!(flag.state(), Degraded);
}

#[tokio::test(start_paused = true)]
async fn what_was_let_in_before_it_degraded_moves_nothing_after_it() {
    let flag = exact().no_ramp().build().unwrap();
    let early: Vec<_> = (0..10).map(|_| flag.admit().unwrap()).collect();
    trip(&flag);
    let until = flag.stats().ends_after;
    let mut early = early.into_iter();
    early
        .by_ref()
        .take(5)
        .for_each(brownout::flag::Ticket::failure);
    assert_eq!(flag.stats().ends_after, until);
    advance(TTL).await;
    early.for_each(brownout::flag::Ticket::failure);
    assert_eq!(flag.state(), Enabled);
    assert_eq!(flag.stats().window_failures, 0);
    assert_eq!(flag.stats().totals.failures, 15);
}

#[tokio::test(start_paused = true)]
async fn late_successes_are_counted_in_the_totals_only() {
    let flag = exact().no_ramp().build().unwrap();
    let early: Vec<_> = (0..10).map(|_| flag.admit().unwrap()).collect();
    trip(&flag);
    advance(TTL).await;
    assert_eq!(flag.state(), Enabled);
    early.into_iter().for_each(brownout::flag::Ticket::success);
    let stats = flag.stats();
    assert_eq!((stats.window_calls, stats.totals.successes), (0, 10));
}

#[test]
fn errors_are_counted_whichever_thread_meets_them() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let flag = {
        let _context = runtime.enter();
        flag()
    };
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| flag.admit().map(brownout::flag::Ticket::failure));
        }
    });
    assert_eq!(flag.state(), Degraded);
}
