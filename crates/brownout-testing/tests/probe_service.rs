//! The probe service: strict about the contract, steerable, and right in its counts.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop there"
)]

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use brownout_testing::probe_service::{Readiness, Standing, Violation};
use brownout_testing::{Behaviour, NotSend, ProbeHandle, ProbeService, TestError};
use tokio::time::Instant;
use tower::{Service, ServiceExt};

type Probe = ProbeService<u32, u32, TestError>;

fn probe() -> (Probe, ProbeHandle<u32, u32, TestError>) {
    ProbeService::new(|request| Ok(request + 1))
}

fn down() -> TestError {
    TestError::new("down")
}

/// Counts its wake-ups.
#[derive(Default)]
struct Alarm(AtomicUsize);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn panic_of(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[tokio::test]
async fn a_call_without_readiness_panics_and_is_kept_as_a_violation() {
    let (mut service, handle) = probe();
    let message = panic_of(|| drop(service.call(1)));
    assert!(
        message.contains("`call` may only come after `poll_ready`"),
        "{message}"
    );
    assert!(message.contains("was never polled"), "{message}");
    let expected = Violation::CalledUnready {
        instance: 0,
        standing: Standing::New,
    };
    assert_eq!(handle.violations(), [expected]);
    assert_eq!(handle.counts().calls, 0);
    assert!(catch_unwind(AssertUnwindSafe(|| handle.assert_contract_kept())).is_err());
}

#[tokio::test]
async fn one_readiness_is_good_for_one_call() {
    let (mut service, handle) = probe();
    assert_eq!(service.ready().await.unwrap().call(1).await, Ok(2));
    assert!(panic_of(|| drop(service.call(2))).contains("has used its readiness"));
    assert_eq!(handle.counts().calls, 1);
}

#[tokio::test]
async fn a_clone_copies_no_readiness() {
    let (mut service, handle) = probe();
    service.ready().await.unwrap();
    let mut clone = service.clone();
    assert!(panic_of(|| drop(clone.call(1))).contains("a clone copies no readiness"));
    // The one that was polled keeps its own.
    assert_eq!(service.call(1).await, Ok(2));
    assert_eq!(handle.violations().len(), 1);
}

#[tokio::test]
async fn a_call_after_pending_or_failed_readiness_panics() {
    let (mut service, handle) = probe();
    service.ready().await.unwrap();
    handle.make_pending();
    assert!(
        poll_fn(|cx| Poll::Ready(service.poll_ready(cx)))
            .await
            .is_pending()
    );
    assert!(panic_of(|| drop(service.call(1))).contains("had last said Pending"));

    handle.fail_readiness(down);
    assert_eq!(service.ready().await.err(), Some(down()));
    assert!(panic_of(|| drop(service.call(1))).contains("had last failed"));
    assert_eq!(handle.counts().reserved, 0);
}

#[tokio::test]
async fn a_future_that_is_polled_after_its_end_panics() {
    let (mut service, handle) = probe();
    let mut future = pin!(service.ready().await.unwrap().call(1));
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(future.as_mut().poll(&mut cx), Poll::Ready(Ok(2)));
    let message = panic_of(|| drop(future.as_mut().poll(&mut cx)));
    assert!(
        message.contains("may not be polled after it has ended"),
        "{message}"
    );
    assert_eq!(
        handle.violations(),
        [Violation::PolledAfterEnd {
            call: 0,
            panicked: false
        }]
    );
    assert_eq!(handle.counts().completed, 1);
}

#[tokio::test]
async fn making_it_ready_wakes_every_waiting_instance() {
    let (service, handle) = probe();
    handle.make_pending();
    let mut waiters: Vec<_> = (0..3)
        .map(|_| (service.clone(), Arc::new(Alarm::default())))
        .collect();
    for (service, alarm) in &mut waiters {
        let waker = Waker::from(Arc::clone(alarm));
        assert!(
            service
                .poll_ready(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    // One that is gone is not woken.
    let gone = waiters.pop().unwrap();
    drop(gone.0);

    handle.make_ready();
    assert!(
        waiters
            .iter()
            .all(|(_, alarm)| alarm.0.load(Ordering::Relaxed) == 1)
    );
    assert_eq!(gone.1.0.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn failing_readiness_reaches_those_who_wait() {
    let (service, handle) = probe();
    handle.set_readiness(Readiness::Pending);
    let waiting = tokio::spawn(service.oneshot(1));
    handle.wait_for(|counts| counts.ready_polls == 1).await;
    handle.set_readiness(Readiness::fail(down));
    assert_eq!(waiting.await.unwrap(), Err(down()));
    assert_eq!(handle.counts().calls, 0);
}

#[tokio::test]
async fn the_script_goes_before_the_default() {
    let (service, handle) = probe();
    handle.script([
        Behaviour::answer(|_| Err(down())),
        Behaviour::answer(|n| Ok(n * 10)),
    ]);
    handle.always(Behaviour::answer(|_| Ok(0)));
    assert_eq!(handle.scripted(), 2);
    assert_eq!(service.clone().oneshot(1).await, Err(down()));
    assert_eq!(service.clone().oneshot(2).await, Ok(20));
    assert_eq!(service.clone().oneshot(3).await, Ok(0));
    assert_eq!(service.oneshot(4).await, Ok(0));
    assert_eq!(handle.scripted(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_delay_passes_on_tokios_clock() {
    let (service, handle) = probe();
    handle.next(Behaviour::answer(Ok).after(Duration::from_secs(3)));
    let start = Instant::now();
    assert_eq!(service.oneshot(1).await, Ok(1));
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_call_stays_in_flight_until_it_is_dropped() {
    let (service, handle) = probe();
    handle.always(Behaviour::hang());
    let call = tokio::time::timeout(Duration::from_secs(4000), service.oneshot(1));
    assert!(call.await.is_err());
    let counts = handle.counts();
    assert_eq!((counts.calls, counts.dropped, counts.in_flight), (1, 1, 0));
    assert_eq!(
        handle.polls_of(0),
        Some(2),
        "once to start, once for the timeout's own wake-up"
    );
}

#[tokio::test]
async fn held_calls_are_released_oldest_first() {
    let (service, handle) = probe();
    handle.always(Behaviour::hold(Ok));
    let calls: Vec<_> = (0..3)
        .map(|n| tokio::spawn(service.clone().oneshot(n)))
        .collect();
    handle.wait_for(|counts| counts.future_polls == 3).await;

    assert_eq!(handle.release(2), 2);
    handle.wait_for(|counts| counts.completed == 2).await;
    assert_eq!(
        calls
            .iter()
            .map(tokio::task::JoinHandle::is_finished)
            .filter(|&done| done)
            .count(),
        2
    );
    assert!(!calls[2].is_finished());
    assert_eq!(handle.release_all(), 1);
    assert_eq!(handle.release_all(), 0);
    for (n, call) in (0..).zip(calls) {
        assert_eq!(call.await.unwrap(), Ok(n));
    }
    assert_eq!(handle.counts().peak_in_flight, 3);
}

#[tokio::test]
async fn a_panic_in_call_counts_and_leaves_nothing_in_flight() {
    let (mut service, handle) = probe();
    handle.next(Behaviour::panic_in_call());
    service.ready().await.unwrap();
    assert_eq!(
        panic_of(|| drop(service.call(1))),
        "scripted panic in `call`"
    );
    let counts = handle.counts();
    assert_eq!(
        (
            counts.calls,
            counts.panicked,
            counts.dropped,
            counts.in_flight
        ),
        (1, 1, 0, 0)
    );
    assert_eq!(service.oneshot(1).await, Ok(2));
    handle.assert_contract_kept();
}

#[tokio::test]
async fn a_panic_comes_at_the_poll_that_was_named() {
    let (mut service, handle) = probe();
    handle.next(Behaviour::panic_in_poll().yielding(2));
    let mut future = pin!(service.ready().await.unwrap().call(1));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_pending());
    assert!(future.as_mut().poll(&mut cx).is_pending());
    assert!(panic_of(|| drop(future.as_mut().poll(&mut cx))).contains("scripted panic"));
    assert_eq!(handle.counts().panicked, 1);
    assert_eq!(handle.polls_of(0), Some(3));
    assert!(panic_of(|| drop(future.as_mut().poll(&mut cx))).contains("had panicked"));
    assert_eq!(
        handle.violations(),
        [Violation::PolledAfterEnd {
            call: 0,
            panicked: true
        }]
    );
}

#[tokio::test]
async fn an_answer_that_panics_counts_as_a_panic() {
    let (service, handle) = ProbeService::<u32, u32, TestError>::new(|n| Ok(10 / n));
    assert!(
        tokio::spawn(service.oneshot(0))
            .await
            .unwrap_err()
            .is_panic()
    );
    let counts = handle.counts();
    assert_eq!(
        (
            counts.panicked,
            counts.dropped,
            counts.completed,
            counts.in_flight
        ),
        (1, 0, 0, 0)
    );
}

#[tokio::test]
async fn instances_and_reservations_are_counted() {
    let (mut service, handle) = probe();
    let mut clone = service.clone();
    service.ready().await.unwrap();
    service.ready().await.unwrap();
    clone.ready().await.unwrap();
    let counts = handle.counts();
    assert_eq!(
        (counts.instances, counts.clones, counts.reserved),
        (2, 1, 2)
    );
    assert!(!counts.is_idle());

    drop(clone);
    assert_eq!(handle.counts().reserved, 1);
    drop(service.call(1));
    let counts = handle.counts();
    assert_eq!(
        (counts.reserved, counts.instances, counts.instances_dropped),
        (0, 1, 1)
    );
    assert_eq!(counts.ready_polls, 3);
    drop(service);
    assert_eq!(handle.counts().instances, 0);
}

#[tokio::test]
async fn an_answer_may_use_the_handle_of_its_own_probe() {
    let (service, handle) = probe();
    let inside = handle.clone();
    handle.always(Behaviour::answer(move |_| {
        inside.make_pending();
        Ok(u32::try_from(inside.counts().in_flight).unwrap())
    }));
    assert_eq!(service.oneshot(1).await, Ok(1));
}

#[tokio::test]
async fn only_the_last_calls_are_remembered_one_by_one() {
    let (service, handle) = probe();
    for n in 0..1030 {
        service.clone().oneshot(n).await.unwrap();
    }
    assert_eq!(handle.polls_of(5), None);
    assert_eq!(handle.polls_of(6), Some(1));
    assert_eq!(handle.polls_of(1029), Some(1));
    assert_eq!(handle.polls_of(1030), None);
}

#[tokio::test]
async fn requests_and_answers_need_be_neither_send_nor_static() {
    let text = String::from("borrowed");
    let (service, _handle) = ProbeService::<&str, Rc<str>, Rc<str>>::new(|text| Ok(Rc::from(text)));
    let answer = NotSend::new(service).oneshot(text.as_str()).await.unwrap();
    assert_eq!(&*answer, "borrowed");
}

#[tokio::test]
async fn waiting_for_counts_that_never_come_can_be_given_up() {
    let (service, handle) = probe();
    tokio::select! {
        biased;
        counts = handle.wait_for(|counts| counts.calls == 7) => unreachable!("{counts:?}"),
        answer = service.oneshot(1) => assert_eq!(answer, Ok(2)),
        () = pending() => {}
    }
}

#[test]
fn a_probe_with_ordinary_types_is_send_and_sync() {
    fn send_and_sync<T: Send + Sync>(_: &T) {}
    fn send<T: Send>(_: &T) {}
    let (service, handle) = probe();
    send_and_sync(&service);
    send_and_sync(&handle);
    send(&service.oneshot(1));
}
