//! Readiness that is not asked for, copied, kept, or lost.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use brownout_testing::TestError;
use brownout_testing::contract::Law;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

use super::{assert_breaks, call, check, ready};

#[tokio::test(start_paused = true)]
async fn a_call_on_a_clone_that_was_not_polled_is_caught() {
    let outcome = check(
        || (),
        ready,
        |inner, (), request| Box::pin(inner.clone().call(request)),
    )
    .await;
    assert_breaks(
        outcome,
        Law::CallAfterReadiness,
        "is a clone and was never polled",
    );
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_never_polls_is_caught() {
    let outcome = check(|| (), |_, (), _| Poll::Ready(Ok(())), call).await;
    assert_breaks(outcome, Law::CallAfterReadiness, "was never polled");
}

#[tokio::test(start_paused = true)]
async fn readiness_copied_on_clone_is_caught() {
    // Remembers that the inner service is ready, in a flag that `Clone` copies.
    let outcome = check(
        || false,
        |inner, remembered, cx| {
            if !*remembered {
                *remembered = inner.poll_ready(cx)? == Poll::Ready(());
            }
            if *remembered {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        },
        |inner, remembered, request| {
            *remembered = false;
            Box::pin(inner.call(request))
        },
    )
    .await;
    assert_breaks(
        outcome,
        Law::CloneCopiesNoReadiness,
        "is a clone and was never polled",
    );
}

#[tokio::test(start_paused = true)]
async fn a_permit_taken_at_each_readiness_poll_is_caught() {
    let state = || {
        (
            Arc::new(Semaphore::new(50)),
            Vec::<Rc<OwnedSemaphorePermit>>::new(),
        )
    };
    let outcome = check(
        state,
        |inner, (semaphore, permits), cx| match Arc::clone(semaphore).try_acquire_owned() {
            Ok(permit) => {
                permits.push(Rc::new(permit));
                inner.poll_ready(cx)
            }
            Err(_) => Poll::Pending,
        },
        |inner, (_, permits), request| {
            permits.pop();
            Box::pin(inner.call(request))
        },
    );
    assert_breaks(outcome.await, Law::ReadinessIsReleased, "it was stuck");
}

#[tokio::test(start_paused = true)]
async fn a_place_in_a_queue_kept_by_one_who_left_is_caught() {
    // Counts those who wait, and forgets that one may leave.
    let outcome = check(
        || (Rc::new(Cell::new(0)), false),
        |inner, (waiting, counted), cx| {
            if waiting.get() >= 10 && !*counted {
                return Poll::Ready(Err(TestError::new("too many wait")));
            }
            let polled = inner.poll_ready(cx);
            let counts = polled.is_pending();
            waiting.set(waiting.get() + u32::from(counts) - u32::from(*counted));
            *counted = counts;
            polled
        },
        call,
    );
    assert_breaks(outcome.await, Law::ReadinessIsReleased, "too many wait");
}

#[tokio::test(start_paused = true)]
async fn a_readiness_error_that_becomes_a_panic_or_silence_is_caught() {
    let panics = check(
        || (),
        |inner, (), cx| {
            if let Poll::Ready(ready) = inner.poll_ready(cx) {
                ready.expect("it is always ready");
                return Poll::Ready(Ok(()));
            }
            Poll::Pending
        },
        call,
    );
    assert_breaks(
        panics.await,
        Law::ReadinessErrorSurfaces,
        "it panicked: it is always ready",
    );

    let swallows = check(
        || (),
        |inner, (), cx| match inner.poll_ready(cx) {
            Poll::Ready(Err(_)) => Poll::Pending,
            polled => polled,
        },
        call,
    );
    assert_breaks(swallows.await, Law::ReadinessErrorSurfaces, "it was stuck");

    let spins = check(
        || (),
        |inner, (), cx| match inner.poll_ready(cx) {
            Poll::Ready(Err(_)) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
        },
        call,
    );
    assert_breaks(spins.await, Law::ReadinessErrorSurfaces, "it woke itself");

    let ignores = check(
        || (),
        |inner, (), cx| inner.poll_ready(cx).map(|_| Ok(())),
        call,
    );
    assert_breaks(ignores.await, Law::CallAfterReadiness, "had last failed");
}

#[tokio::test(start_paused = true)]
async fn a_readiness_error_that_kills_all_clones_is_caught() {
    let outcome = check(
        Rc::<RefCell<Option<TestError>>>::default,
        |inner, dead, cx| {
            if let Some(error) = &*dead.borrow() {
                return Poll::Ready(Err(error.clone()));
            }
            inner
                .poll_ready(cx)
                .map_err(|error| dead.replace(Some(error.clone())).unwrap_or(error))
        },
        call,
    );
    assert_breaks(
        outcome.await,
        Law::ReadinessErrorStaysLocal,
        "the connection is gone",
    );
}
