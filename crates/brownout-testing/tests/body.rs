//! Mock bodies and what their watches tell.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop there"
)]

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brownout_testing::body::{data, delay, error, hang, hold, panic, pending, trailers};
use brownout_testing::{MockBody, NotSend, TestError};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, timeout};

async fn next<B: Body>(body: &mut Pin<&mut B>) -> Option<Result<Frame<B::Data>, B::Error>> {
    poll_fn(|cx| body.as_mut().poll_frame(cx)).await
}

async fn next_data<B: Body<Data = Bytes, Error = TestError>>(body: &mut Pin<&mut B>) -> Bytes {
    next(body).await.unwrap().unwrap().into_data().unwrap()
}

#[tokio::test]
async fn frames_come_in_order_and_then_the_end() {
    let map = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from(0))]);
    let (body, watch) =
        MockBody::<TestError>::new([data("ab"), pending(), data("cde"), trailers(map.clone())])
            .watched();
    let mut body = pin!(body);
    assert_eq!(next_data(&mut body).await, "ab");
    assert_eq!(next_data(&mut body).await, "cde");
    assert_eq!(
        next(&mut body)
            .await
            .unwrap()
            .unwrap()
            .into_trailers()
            .unwrap(),
        map
    );
    assert!(!watch.ended());
    assert!(next(&mut body).await.is_none());
    assert!(watch.ended());
    assert_eq!((watch.frames(), watch.bytes(), watch.polls()), (3, 5, 5));

    assert_eq!(watch.polls_after_end(), 0);
    assert!(next(&mut body).await.is_none());
    assert_eq!(watch.polls_after_end(), 1);
}

#[tokio::test]
async fn an_error_is_the_last_thing_a_body_says() {
    let (body, watch) = MockBody::new([error(TestError::new("reset")), data("never")]).watched();
    {
        let mut body = pin!(body);
        assert_eq!(
            next(&mut body).await.unwrap().unwrap_err(),
            TestError::new("reset")
        );
        assert!(next(&mut body).await.is_none());
    }
    assert!(watch.failed() && watch.dropped());
    assert!(!watch.dropped_midway());
    assert_eq!(watch.bytes(), 0);
}

#[tokio::test]
async fn a_watch_tells_a_drop_midway_from_one_untouched() {
    let (body, untouched) = MockBody::full("abc").watched();
    assert!(!untouched.dropped_unpolled(), "it is still alive");
    drop(body);
    assert!(untouched.dropped_unpolled() && !untouched.dropped_midway() && !untouched.polled());

    let (body, midway) = MockBody::full("abc").watched();
    {
        let mut body = pin!(body);
        next_data(&mut body).await;
        assert!(midway.polled() && !midway.dropped_midway());
    }
    assert!(midway.dropped_midway() && !midway.dropped_unpolled());

    let (body, ended) = MockBody::empty().watched();
    assert!(next(&mut pin!(body)).await.is_none());
    assert!(ended.ended() && ended.dropped() && !ended.dropped_midway());
}

#[tokio::test(start_paused = true)]
async fn a_delay_passes_on_tokios_clock() {
    let mut body = pin!(MockBody::<TestError>::new([
        delay(Duration::from_secs(2)),
        data("late")
    ]));
    let start = Instant::now();
    assert_eq!(next_data(&mut body).await, "late");
    assert_eq!(start.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_body_never_goes_on() {
    let (body, watch) = MockBody::<TestError>::new([data("ab"), hang(), data("never")]).watched();
    let mut body = pin!(body);
    assert_eq!(next_data(&mut body).await, "ab");
    assert!(
        timeout(Duration::from_secs(4000), next(&mut body))
            .await
            .is_err()
    );
    assert_eq!(watch.bytes(), 2);
}

#[tokio::test]
async fn a_held_body_goes_on_when_it_is_released() {
    let (body, watch) =
        MockBody::<TestError>::new([hold(), data("ab"), hold(), data("cd")]).watched();
    let mut body = Box::pin(body);
    let reader = tokio::spawn(async move {
        let mut body = body.as_mut();
        (next_data(&mut body).await, next_data(&mut body).await)
    });
    tokio::task::yield_now().await;
    assert_eq!((watch.polls(), watch.frames()), (1, 0));
    watch.release();
    tokio::task::yield_now().await;
    assert_eq!(watch.frames(), 1);
    watch.release();
    assert_eq!(reader.await.unwrap(), ("ab".into(), "cd".into()));
}

#[tokio::test]
async fn a_panicking_body_panics() {
    let body = MockBody::<TestError>::new([panic()]);
    let reader = tokio::spawn(async move { next(&mut pin!(body)).await.is_some() });
    assert!(reader.await.unwrap_err().is_panic());
}

#[tokio::test]
async fn hints_are_honest_unless_told_otherwise() {
    let mut body = pin!(MockBody::<TestError>::new([data("ab"), data("cde")]));
    assert_eq!(body.size_hint().exact(), Some(5));
    next_data(&mut body).await;
    assert_eq!(body.size_hint().exact(), Some(3));
    assert!(!body.is_end_stream());
    next_data(&mut body).await;
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));

    let failing = MockBody::new([data("ab"), error(TestError::new("reset"))]);
    assert_eq!(failing.size_hint().upper(), None);
    assert_eq!(
        MockBody::full("ab").with_unknown_size().size_hint().upper(),
        None
    );
    let lying = MockBody::full("ab")
        .with_size_hint(SizeHint::with_exact(9))
        .with_end_stream(true);
    assert_eq!(lying.size_hint().exact(), Some(9));
    assert!(lying.is_end_stream());
}

#[tokio::test]
async fn a_body_may_have_any_error_and_lose_its_send() {
    let body = MockBody::<std::rc::Rc<str>>::new([error("not even an Error".into())]);
    let mut body = pin!(NotSend::new(body));
    let mut cx = Context::from_waker(Waker::noop());
    match body.as_mut().poll_frame(&mut cx) {
        Poll::Ready(Some(Err(error))) => assert_eq!(&*error, "not even an Error"),
        other => unreachable!("{other:?}"),
    }
    assert!(body.is_end_stream());
}
