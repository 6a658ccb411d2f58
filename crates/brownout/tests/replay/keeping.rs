//! Bodies that are kept.

use brownout::http::{ReplayBody, ReplayLayer};
use brownout_testing::{
    MockBody,
    body::{data, pending, trailers},
};
use bytes::Bytes;
use http::{Method, Request, Version};
use http_body::{Body, SizeHint};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::common::{
    Outgoing, Read, checksum, chunked, echo, in_three_frames, read, text, through,
};

#[tokio::test]
async fn a_small_body_can_be_made_again_any_number_of_times() {
    let body = through(ReplayLayer::new(), MockBody::full("pears")).await;
    let again = body.again().unwrap();
    let and_again = again.again().unwrap();
    for body in [body, again, and_again] {
        assert_eq!(read(body).await, text("pears"));
    }
}

#[tokio::test]
async fn what_is_made_again_begins_at_the_start_whatever_has_been_read() {
    let layer = ReplayLayer::new();
    let mut body = Box::pin(through(layer, MockBody::new(in_three_frames())).await);
    let whole = Read {
        frames: 2,
        data: b"one two three".into(),
        trailers: Some(checksum()),
        error: None,
    };
    for frames in 0..4 {
        assert_eq!(read(body.again().unwrap()).await, whole);
        let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
        assert_eq!(frame.is_some(), frames < 2);
    }
}

#[tokio::test]
async fn a_body_of_many_frames_is_given_as_one_and_its_trailers_after_it() {
    let slow = MockBody::new([
        data("one "),
        pending(),
        data(""),
        data("two"),
        pending(),
        trailers(checksum()),
    ]);
    let mut body = Box::pin(through(ReplayLayer::new(), slow).await);
    let mut next = async || {
        let before = (body.size_hint().exact(), body.is_end_stream());
        let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
        (before, frame.map(Result::unwrap))
    };
    let (before, frame) = next().await;
    assert_eq!(before, (Some(7), false));
    assert_eq!(frame.unwrap().into_data().unwrap(), "one two");
    let (before, frame) = next().await;
    assert_eq!(before, (Some(0), false));
    assert_eq!(frame.unwrap().into_trailers().unwrap(), checksum());
    for _ in 0..2 {
        let (before, frame) = next().await;
        assert_eq!(before, (Some(0), true));
        assert!(frame.is_none());
    }
}

#[tokio::test]
async fn a_body_that_says_that_it_has_ended_is_not_asked_again() {
    let (sent, watch) = MockBody::new([data("one"), data("two")]).watched();
    through(ReplayLayer::new(), sent).await;
    assert_eq!((watch.polls(), watch.bytes()), (2, 6));
    assert!(watch.dropped());
}

#[tokio::test]
async fn a_body_of_trailers_alone_is_kept() {
    let body = through(
        ReplayLayer::new().limit(0),
        MockBody::new([trailers(checksum())]),
    )
    .await;
    assert!(!body.is_end_stream());
    for body in [body.again().unwrap(), body] {
        assert_eq!(read(body).await.trailers, Some(checksum()));
    }
}

#[tokio::test]
async fn frames_are_passed_on_without_a_copy_where_there_is_one() {
    let sent = Bytes::from(vec![7; 1_000]);
    let mut body = Box::pin(through(ReplayLayer::new(), MockBody::full(sent.clone())).await);
    for _ in 0..2 {
        let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
        let data = frame.unwrap().unwrap().into_data().unwrap();
        assert_eq!(data.as_ptr(), sent.as_ptr());
        let again = body.again().unwrap();
        body.set(again);
    }
}

#[tokio::test]
async fn the_limit_is_the_largest_size_that_is_kept() {
    for (layer, size, kept) in [
        (ReplayLayer::new(), 65_536, true),
        (ReplayLayer::new(), 65_537, false),
        (ReplayLayer::default().limit(3), 3, true),
        (ReplayLayer::new().limit(3), 4, false),
        (ReplayLayer::new().limit(0), 0, true),
        (ReplayLayer::new().limit(0), 1, false),
        (ReplayLayer::new().limit(usize::MAX), 1_000_000, true),
    ] {
        let sent = vec![1; size];
        let body = through(layer, MockBody::full(sent.clone())).await;
        assert_eq!(body.again().is_some(), kept, "{size} bytes");
        assert_eq!(read(body).await.data, sent);
    }
}

#[tokio::test]
async fn an_empty_body_goes_to_the_service_in_the_call_itself() {
    let (inner, probe) = echo();
    let mut service = ReplayLayer::new().limit(0).layer(inner);
    let (body, watch) = MockBody::empty().watched();
    let call = service.ready().await.unwrap().call(Request::new(body));
    assert_eq!(probe.counts().calls, 1);
    // Nor was the service cloned.
    assert_eq!(probe.counts().instances, 1);
    assert!(watch.dropped_unpolled());
    let body = call.await.unwrap();
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
    assert_eq!(read(body.again().unwrap()).await, text(""));
    assert_eq!(read(body).await, text(""));
}

#[tokio::test]
async fn a_body_of_unknown_size_is_kept_up_to_the_limit_where_that_is_asked_for() {
    let layer = ReplayLayer::new().limit(13).of_unknown_size();
    for (steps, trailers) in [(3, None), (4, Some(checksum()))] {
        let body = through(layer, chunked(in_three_frames().into_iter().take(steps))).await;
        let read = read(body.again().unwrap()).await;
        assert_eq!(read.data, b"one two three");
        assert_eq!(read.trailers, trailers);
    }
    let body = through(layer.limit(12), chunked(in_three_frames())).await;
    assert!(body.again().is_none());
    assert_eq!(read(body).await.data, b"one two three");
}

#[tokio::test]
async fn a_kept_body_has_a_size_unless_it_had_none_and_has_trailers() {
    let layer = ReplayLayer::new().of_unknown_size();
    let at_least = |hint: SizeHint| (hint.lower(), hint.upper());
    for (sized, steps, size) in [
        (true, 3, (13, Some(13))),
        (true, 4, (13, Some(13))),
        (false, 3, (13, Some(13))),
        // A sender that knew the size would send no chunks, and trailers only go with these.
        (false, 4, (13, None)),
    ] {
        let steps = in_three_frames().into_iter().take(steps);
        let sent = if sized {
            MockBody::new(steps)
        } else {
            chunked(steps)
        };
        let mut body = Box::pin(through(layer, sent).await);
        assert_eq!(at_least(body.size_hint()), size);
        assert_eq!(at_least(body.again().unwrap().size_hint()), size);
        std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
        assert_eq!(at_least(body.size_hint()), (0, size.1.map(|_| 0)));
    }
}

#[tokio::test]
async fn a_body_that_ends_before_its_promise_is_kept_as_it_came() {
    let short = MockBody::full("one").with_size_hint(SizeHint::with_exact(10));
    let body = through(ReplayLayer::new(), short).await;
    assert_eq!(body.size_hint().exact(), Some(3));
    assert_eq!(read(body.again().unwrap()).await, text("one"));
}

#[tokio::test]
async fn the_head_is_the_one_that_was_sent() {
    for body in [
        MockBody::empty(),
        MockBody::full("kept"),
        chunked([data("passed")]),
    ] {
        let service = ReplayLayer::new().layer(service_fn(|request: Outgoing| async move {
            assert_eq!(request.method(), Method::PUT);
            assert_eq!(request.uri(), "/cart?full");
            assert_eq!(request.version(), Version::HTTP_2);
            assert_eq!(request.headers()["x-id"], "7");
            assert_eq!(request.extensions().get::<u8>(), Some(&3));
            Ok::<_, ()>(())
        }));
        let request = Request::put("/cart?full")
            .version(Version::HTTP_2)
            .header("x-id", "7")
            .extension(3_u8)
            .body(body)
            .unwrap();
        service.oneshot(request).await.unwrap();
    }
}

#[tokio::test]
async fn a_tier_may_ask_something_else() {
    let body = ReplayBody::<MockBody>::kept("a smaller question");
    assert_eq!(body.size_hint().exact(), Some(18));
    assert_eq!(
        read(body.again().unwrap()).await,
        text("a smaller question")
    );
    assert!(ReplayBody::<MockBody>::kept("").is_end_stream());
}

#[tokio::test]
async fn a_kept_body_shows_its_size_and_not_its_secrets() {
    let body = through(ReplayLayer::new(), MockBody::full("pin=1234")).await;
    let shown = format!("{body:?}");
    assert!(shown.contains("kept: true") && shown.contains('8'));
    assert!(!shown.contains("1234"));
}
