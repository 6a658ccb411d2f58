//! Futures polled by hand.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop there"
)]

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::task::Poll;
use std::time::Duration;

use brownout_testing::{assert_no_busy_polling, drop_at_each_await};
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn a_future_is_dropped_at_each_of_its_awaits() {
    struct Step<'a>(&'a Cell<u32>);
    impl Drop for Step<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    let alive = Cell::new(0);
    let dropped_at = Cell::new(0);
    let polls = drop_at_each_await(
        || async {
            for _ in 0..3 {
                alive.set(alive.get() + 1);
                let _step = Step(&alive);
                sleep(Duration::from_secs(1)).await;
            }
        },
        |polls| {
            assert_eq!(alive.get(), 0);
            assert_eq!(polls, dropped_at.replace(polls + 1));
        },
    )
    .await;
    assert_eq!(polls, 4);
    assert_eq!(dropped_at.get(), 5);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "was not woken for 60s after poll 1")]
async fn a_future_that_never_completes_is_reported() {
    drop_at_each_await(pending::<()>, |_| {}).await;
}

#[tokio::test(start_paused = true)]
async fn a_future_that_waits_properly_is_polled_twice() {
    let waits = sleep(Duration::from_secs(1));
    assert!(
        assert_no_busy_polling(waits, Duration::from_secs(2), 2)
            .await
            .is_some()
    );
    assert!(
        assert_no_busy_polling(pending::<()>(), Duration::from_secs(4000), 1)
            .await
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "busy polling: a waiting future asked for more than 100 polls within 1s")]
async fn a_future_that_wakes_itself_is_reported() {
    let spins = poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    assert_no_busy_polling(spins, Duration::from_secs(1), 100).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "busy polling")]
async fn a_sleep_loop_is_reported() {
    let naps = async {
        loop {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let _: Option<()> = assert_no_busy_polling(naps, Duration::from_secs(1), 100).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "has not completed after 1000 polls")]
async fn a_future_that_wakes_itself_for_ever_is_reported_soon() {
    let spins = || async {
        loop {
            tokio::task::yield_now().await;
        }
    };
    let most = |polls| assert!(polls <= 1000, "still trying");
    drop_at_each_await::<std::pin::Pin<Box<dyn Future<Output = ()>>>>(|| Box::pin(spins()), most)
        .await;
}
