//! Waiting that wakes the wrong task, or too often.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use brownout_testing::contract::Law;
use tower::Service;

use super::{assert_breaks, call, check, ready};

/// Wakes whoever came last, for everybody.
#[derive(Default)]
struct OneWaker(Mutex<Option<Waker>>);

impl Wake for OneWaker {
    fn wake(self: Arc<Self>) {
        let waker = self.0.lock().unwrap().clone();
        waker.into_iter().for_each(Waker::wake);
    }
}

#[tokio::test(start_paused = true)]
async fn one_waker_kept_for_many_tasks_is_caught() {
    let outcome = check(
        Arc::<OneWaker>::default,
        |inner, one, cx| {
            *one.0.lock().unwrap() = Some(cx.waker().clone());
            inner.poll_ready(&mut Context::from_waker(&Waker::from(Arc::clone(one))))
        },
        call,
    );
    assert_breaks(outcome.await, Law::WakesEveryWaiter, "7 of 8 clones");
}

#[tokio::test(start_paused = true)]
async fn the_first_waker_kept_for_ever_is_caught() {
    let readiness = check(
        || None,
        |inner, first: &mut Option<Waker>, cx| {
            let waker = first.get_or_insert_with(|| cx.waker().clone()).clone();
            let polled = inner.poll_ready(&mut Context::from_waker(&waker));
            if polled.is_ready() {
                *first = None;
            }
            polled
        },
        call,
    );
    assert_breaks(
        readiness.await,
        Law::WakesLastPoller,
        "the readiness of one instance",
    );

    let future = check(
        || (),
        ready,
        |inner, (), request| {
            let (mut answer, mut first) = (Box::pin(inner.call(request)), None::<Waker>);
            Box::pin(poll_fn(move |cx| {
                let waker = first.get_or_insert_with(|| cx.waker().clone());
                answer.as_mut().poll(&mut Context::from_waker(waker))
            }))
        },
    );
    assert_breaks(future.await, Law::WakesLastPoller, "the future of one call");
}

#[tokio::test(start_paused = true)]
async fn busy_polling_is_caught() {
    let spins = check(
        || (),
        ready,
        |inner, (), request| {
            let mut answer = Box::pin(inner.call(request));
            Box::pin(poll_fn(move |cx| {
                cx.waker().wake_by_ref();
                answer.as_mut().poll(cx)
            }))
        },
    );
    assert_breaks(spins.await, Law::NoBusyPolling, "the future of a call");

    let naps = check(
        || (),
        ready,
        |inner, (), request| {
            let mut answer = Box::pin(inner.call(request));
            Box::pin(async move {
                loop {
                    if let Poll::Ready(answer) =
                        poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await
                    {
                        return answer;
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        },
    );
    assert_breaks(naps.await, Law::NoBusyPolling, "the future of a call");

    let spins_for_readiness = check(
        || (),
        |inner, (), cx| {
            cx.waker().wake_by_ref();
            inner.poll_ready(cx)
        },
        call,
    );
    assert_breaks(
        spins_for_readiness.await,
        Law::NoBusyPolling,
        "readiness that is pending",
    );
}
