//! Bodies that are passed on, whole or from where their reading ended.

use std::future::poll_fn;

use brownout::http::{ReplayBody, ReplayLayer};
use brownout_testing::{
    MockBody, TestError,
    body::{Step, data, error, hang, pending, trailers},
};
use http::Request;
use http_body::{Body, SizeHint};
use tower::{Layer, Service, ServiceExt};

use crate::common::{Read, checksum, chunked, echo, in_three_frames, read, text, through};

fn exactly(size: u64) -> SizeHint {
    SizeHint::with_exact(size)
}

/// The lower and the upper bound.
fn bounds(hint: SizeHint) -> (u64, Option<u64>) {
    (hint.lower(), hint.upper())
}

#[tokio::test]
async fn a_body_over_the_limit_or_of_unknown_size_goes_on_unread_in_the_call_itself() {
    let over = || MockBody::new(in_three_frames());
    let mut wide = SizeHint::new();
    wide.set_lower(13);
    for (layer, body) in [
        (ReplayLayer::new().limit(12), over()),
        (ReplayLayer::new().limit(12).of_unknown_size(), over()),
        (ReplayLayer::new(), chunked(in_three_frames())),
        // Its size is not known, but it is known to be too large.
        (
            ReplayLayer::new().limit(12).of_unknown_size(),
            over().with_size_hint(wide),
        ),
    ] {
        let (inner, probe) = echo();
        let mut service = layer.layer(inner);
        let (body, watch) = body.watched();
        let hint = bounds(body.size_hint());
        let call = service.ready().await.unwrap().call(Request::new(body));
        assert_eq!(probe.counts().calls, 1);
        assert_eq!(probe.counts().instances, 1);
        let body = call.await.unwrap();
        assert!(!watch.polled());
        assert!(body.again().is_none());
        assert_eq!(bounds(body.size_hint()), hint);
        let read = read(body).await;
        assert_eq!((read.frames, &read.data[..]), (4, &b"one two three"[..]));
        assert_eq!(read.trailers, Some(checksum()));
    }
}

#[tokio::test]
async fn a_body_of_unknown_size_that_exceeds_the_limit_goes_on_from_where_it_was() {
    let sent = chunked([
        data("one "),
        data("two "),
        pending(),
        data("three "),
        pending(),
        data("four"),
        trailers(checksum()),
    ]);
    let (sent, watch) = sent.watched();
    let body = through(ReplayLayer::new().limit(10).of_unknown_size(), sent).await;
    // No more was read than the frame that was too much.
    assert_eq!(watch.bytes(), 14);
    assert!(body.again().is_none());
    assert_eq!(bounds(body.size_hint()), (0, None));
    let read = read(body).await;
    // What was gathered, the one too much, the one after it, the trailers.
    assert_eq!(read.frames, 4);
    assert_eq!(read.data, b"one two three four");
    assert_eq!(read.trailers, Some(checksum()));
}

#[tokio::test]
async fn a_body_longer_than_it_said_loses_nothing_and_is_not_believed_again() {
    for (promise, limit, frames) in [(5, 64, 3), (0, 64, 3), (4, 4, 3)] {
        let sent = MockBody::new([data("one "), data("two "), data("three")])
            .with_size_hint(exactly(promise))
            .with_end_stream(false);
        let (sent, watch) = sent.watched();
        let body = through(ReplayLayer::new().limit(limit), sent).await;
        assert!(watch.bytes() < 13);
        assert!(body.again().is_none());
        // A sender that goes by the size must not cut it off.
        assert_eq!(bounds(body.size_hint()), (0, None));
        let read = read(body).await;
        assert_eq!(read.data, b"one two three");
        assert_eq!(read.frames, frames);
    }
}

#[tokio::test]
async fn a_range_of_sizes_is_a_promise_too() {
    let range = |lower, upper| {
        let mut hint = SizeHint::new();
        hint.set_upper(upper);
        hint.set_lower(lower);
        hint
    };
    let layer = ReplayLayer::new().limit(10).of_unknown_size();
    let sent = || MockBody::new(in_three_frames());
    let body = through(layer, sent().with_size_hint(range(2, 5))).await;
    assert_eq!(bounds(body.size_hint()), (0, None));
    assert_eq!(read(body).await.data, b"one two three");

    let mut body = Box::pin(through(layer, sent().with_size_hint(range(9, 20))).await);
    for (left, given) in [
        ((9, Some(20)), "one two "),
        ((1, Some(12)), "three"),
        ((0, Some(7)), ""),
    ] {
        assert_eq!(bounds(body.size_hint()), left);
        let frame = poll_fn(|cx| body.as_mut().poll_frame(cx)).await.unwrap();
        assert_eq!(frame.unwrap().into_data().unwrap_or_default(), given);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_seen_to_break_off() {
    let reset = || TestError::new("reset");
    let sent = MockBody::new([data("one "), data("two "), pending(), error(reset())])
        .with_size_hint(exactly(20));
    let mut body = Box::pin(through(ReplayLayer::new(), sent).await);
    assert!(body.again().is_none());
    // The size is that which was promised: what came must not pass for the whole.
    assert_eq!(bounds(body.size_hint()), (20, Some(20)));
    let frame = poll_fn(|cx| body.as_mut().poll_frame(cx)).await.unwrap();
    assert_eq!(frame.unwrap().into_data().unwrap(), "one two ");
    assert_eq!(bounds(body.size_hint()), (12, Some(12)));
    assert!(!body.is_end_stream());
    let failed = poll_fn(|cx| body.as_mut().poll_frame(cx)).await.unwrap();
    assert_eq!(failed.unwrap_err(), reset());
    assert!(body.again().is_none());
    assert!(poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_none());
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn a_body_that_breaks_off_at_once_is_seen_to_break_off_at_once() {
    let sent = MockBody::new([error(TestError::new("reset"))]).with_size_hint(exactly(20));
    let body = through(ReplayLayer::new(), sent).await;
    assert!(!body.is_end_stream());
    let broken = Read {
        error: Some(TestError::new("reset")),
        ..text("")
    };
    assert_eq!(read(body).await, broken);
}

#[tokio::test]
async fn a_body_that_breaks_off_after_its_trailers_loses_nothing() {
    let sent = MockBody::new([
        data("one"),
        trailers(checksum()),
        error(TestError::new("reset")),
    ]);
    let body = through(ReplayLayer::new().of_unknown_size(), sent).await;
    let broken = Read {
        frames: 2,
        data: b"one".into(),
        trailers: Some(checksum()),
        error: Some(TestError::new("reset")),
    };
    assert_eq!(read(body).await, broken);
}

#[tokio::test]
async fn data_after_trailers_is_passed_on_as_it_came() {
    let sent = MockBody::new([data("one "), trailers(checksum()), data("two"), data("!")]);
    let mut body = Box::pin(through(ReplayLayer::new(), sent).await);
    assert!(body.again().is_none());
    let mut seen = Vec::new();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        seen.push(frame.unwrap().into_data().ok());
    }
    let data = |text: &'static str| Some(text.into());
    assert_eq!(seen, [data("one "), None, data("two"), data("!")]);
}

#[tokio::test]
async fn a_passed_body_is_polled_once_a_frame() {
    let steps: Vec<Step<TestError>> = (0..10).map(|_| data("ten bytes.")).collect();
    let (sent, watch) = MockBody::new(steps).watched();
    let body = through(ReplayLayer::new().limit(99), sent).await;
    read(body).await;
    assert_eq!(watch.polls(), 11);
    assert_eq!(watch.polls_after_end(), 0);
}

#[tokio::test]
async fn a_passed_body_says_that_it_has_ended() {
    let sent = MockBody::new([data("one "), data("two")]);
    let mut body = Box::pin(through(ReplayLayer::new().limit(6), sent).await);
    for _ in 0..2 {
        assert!(!body.is_end_stream());
        poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
    }
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn a_body_that_is_dropped_unread_is_dropped() {
    for (layer, steps) in [
        (ReplayLayer::new(), vec![data("passed"), hang()]),
        (
            ReplayLayer::new().limit(5).of_unknown_size(),
            vec![data("interrupted"), hang()],
        ),
    ] {
        let (sent, watch) = MockBody::new(steps).watched();
        let body: ReplayBody<_> = through(layer, sent).await;
        assert!(!watch.dropped());
        drop(body);
        assert!(watch.dropped());
    }
}
