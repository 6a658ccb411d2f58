//! Calls that end wrongly, or do not end with their future.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use brownout_testing::TestError;
use brownout_testing::contract::{Contract, Law};
use tokio::sync::Semaphore;
use tower::Service;

use super::{Probe, assert_breaks, check, ready};

#[tokio::test(start_paused = true)]
async fn a_poll_after_completion_is_caught() {
    let outcome = check(
        || (),
        ready,
        |inner, (), request| {
            let mut answer = Box::pin(inner.call(request));
            Box::pin(poll_fn(move |cx| {
                let polled = answer.as_mut().poll(cx);
                if polled.is_ready() {
                    let _ = answer.as_mut().poll(cx);
                }
                polled
            }))
        },
    );
    assert_breaks(outcome.await, Law::NoPollAfterEnd, "had completed");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_request_is_caught() {
    let outcome = check(
        Rc::<Cell<Option<u32>>>::default,
        ready,
        |inner, last, request| {
            let (answer, last) = (inner.call(request), Rc::clone(last));
            Box::pin(async move {
                let answer = answer.await?;
                Ok(last.replace(Some(answer)).unwrap_or(answer))
            })
        },
    );
    assert_breaks(
        outcome.await,
        Law::AnswersItsRequest,
        "it answered request 1 with 1000",
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_goes_on_after_its_drop_is_caught() {
    let forgotten = check(
        || (),
        ready,
        |inner, (), request| {
            let mut answer = ManuallyDrop::new(Box::pin(inner.call(request)));
            Box::pin(poll_fn(move |cx| answer.as_mut().poll(cx)))
        },
    );
    assert_breaks(forgotten.await, Law::DropReleases, "still in flight");

    let detached = check(
        || (),
        ready,
        |inner, (), request| {
            let task = tokio::spawn(inner.call(request));
            Box::pin(async move {
                task.await
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
            })
        },
    );
    assert_breaks(detached.await, Law::DropReleases, "still in flight");
}

#[tokio::test(start_paused = true)]
async fn a_slot_given_back_only_on_completion_is_caught() {
    let outcome = check(
        || Rc::new(Cell::new(20)),
        ready,
        |inner, slots, request| {
            let (answer, slots) = (inner.call(request), Rc::clone(slots));
            Box::pin(async move {
                let free: u32 = slots.get();
                slots.set(
                    free.checked_sub(1)
                        .ok_or_else(|| TestError::new("no slot is free"))?,
                );
                let answer = answer.await;
                slots.set(slots.get() + 1);
                answer
            })
        },
    );
    assert_breaks(outcome.await, Law::DropReleases, "no slot is free");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_kept_for_ever_is_caught() {
    let outcome = Contract::new(|inner: Probe| {
        std::mem::forget(inner.clone());
        inner
    });
    assert_breaks(outcome.check().await, Law::DropReleases, "1 alive");
}

#[tokio::test(start_paused = true)]
async fn a_lock_poisoned_by_a_panic_below_is_caught() {
    let outcome = check(Arc::<Mutex<()>>::default, ready, |inner, lock, request| {
        let _held = lock.lock().unwrap();
        Box::pin(inner.call(request))
    });
    assert_breaks(outcome.await, Law::SurvivesPanic, "PoisonError");

    let outcome = check(Arc::<Mutex<()>>::default, ready, |inner, lock, request| {
        let (mut answer, lock) = (Box::pin(inner.call(request)), Arc::clone(lock));
        Box::pin(poll_fn(move |cx| {
            let _held = lock.lock().unwrap();
            answer.as_mut().poll(cx)
        }))
    });
    assert_breaks(outcome.await, Law::SurvivesPanic, "PoisonError");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_waited_out_for_ever_is_caught() {
    let outcome = check(
        || (),
        ready,
        |inner, (), request| {
            let answer = inner.call(request);
            Box::pin(async move {
                match answer.await {
                    Err(_) => pending().await,
                    ok => ok,
                }
            })
        },
    );
    assert_breaks(outcome.await, Law::ErrorEndsTheCall, "it was stuck");
}

#[tokio::test(start_paused = true)]
async fn a_layer_for_one_caller_at_a_time_is_caught() {
    let outcome = check(
        || Arc::new(Semaphore::new(1)),
        ready,
        |inner, lock, request| {
            let (answer, lock) = (inner.call(request), Arc::clone(lock));
            Box::pin(async move {
                let _held = lock.try_acquire().map_err(|_| TestError::new("in use"))?;
                answer.await
            })
        },
    );
    assert_breaks(outcome.await, Law::WorksConcurrently, "in use");
}

#[tokio::test(start_paused = true)]
async fn a_future_that_needs_its_service_alive_is_caught() {
    struct Alive(Rc<()>);
    impl Clone for Alive {
        fn clone(&self) -> Self {
            Self(Rc::new(()))
        }
    }
    let outcome = check(
        || Alive(Rc::new(())),
        ready,
        |inner, alive, request| {
            let (answer, alive) = (inner.call(request), Rc::downgrade(&alive.0));
            Box::pin(async move {
                let answer = answer.await?;
                alive
                    .upgrade()
                    .map(|_| answer)
                    .ok_or_else(|| TestError::new("the service is gone"))
            })
        },
    );
    assert_breaks(outcome.await, Law::WorksBelowABuffer, "the service is gone");
}
