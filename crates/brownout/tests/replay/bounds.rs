//! Nothing is asked of bodies and services that the code does not need.

use std::{
    cell::Cell,
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use brownout::{
    core::BoxError,
    http::{ReplayBody, ReplayLayer},
};
use brownout_testing::{
    MockBody, NotClone, NotSend, TestError,
    body::{data, pending},
    probe_service::Borrowing,
};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneService};

use crate::common::{read, text};

/// A body whose data is no `Bytes` and comes in two parts.
struct Deque(VecDeque<u8>);

impl Body for Deque {
    type Data = VecDeque<u8>;
    type Error = TestError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<VecDeque<u8>>, TestError>>> {
        let half = self.0.len().div_ceil(2);
        let rest = self.0.split_off(half);
        let frame = std::mem::replace(&mut self.0, rest);
        Poll::Ready((!frame.is_empty()).then(|| Ok(Frame::data(frame))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

#[tokio::test]
async fn data_of_any_type_becomes_bytes() {
    for (limit, kept) in [(11, true), (10, false)] {
        let layer = ReplayLayer::new().limit(limit);
        let service = layer.layer(service_fn(|request: Request<ReplayBody<Deque>>| async {
            Ok::<_, TestError>(request.into_body())
        }));
        let sent = Deque(b"one two six".iter().copied().collect());
        let body = service.oneshot(Request::new(sent)).await.unwrap();
        assert_eq!(body.again().is_some(), kept);
        assert_eq!(read(body).await.data, b"one two six");
    }
}

#[tokio::test]
async fn neither_send_nor_sync_nor_static_nor_unpin_is_asked_of_anybody() {
    let owner = Cell::new(0);
    for (limit, kept) in [(9, true), (0, false)] {
        let inner = service_fn(|request: Request<ReplayBody<_>>| {
            owner.set(owner.get() + 1);
            let shared = Rc::new(());
            async move {
                drop(shared);
                Ok::<_, Rc<()>>(request.into_body())
            }
        });
        let sent = MockBody::new([data("one "), pending(), data("two")]);
        let sent = Borrowing::from(&owner, NotSend::new(NotClone::new(sent)));
        let service = ReplayLayer::new().limit(limit).layer(inner);
        let body = service.oneshot(Request::new(sent)).await.unwrap();
        assert_eq!(body.again().is_some(), kept);
        assert_eq!(read(body).await.data, b"one two");
    }
    assert_eq!(owner.get(), 2);
}

#[test]
fn what_can_move_and_be_sent_stays_so() {
    fn moves_and_is_sent<T: Send + Sync + Unpin>() {}
    // A client like hyper's asks this of a request's body.
    moves_and_is_sent::<ReplayBody<Pin<Box<MockBody>>>>();
    moves_and_is_sent::<ReplayBody<Deque>>();
}

/// Whether a type is `Clone` or has a default: told by which of two constants of one name is found first.
struct Is<T>(std::marker::PhantomData<T>);

impl<T: Clone> Is<T> {
    const CLONE: bool = true;
}

impl<T: Default> Is<T> {
    const DEFAULT: bool = true;
}

trait IsNot {
    const CLONE: bool = false;
    const DEFAULT: bool = false;
}

impl<T> IsNot for Is<T> {}

#[test]
fn a_body_is_made_again_by_its_own_method_and_no_other_way() {
    let string = [Is::<String>::CLONE, Is::<String>::DEFAULT];
    assert_eq!(string, [true, true]);
    let replay = [
        Is::<ReplayBody<String>>::CLONE,
        Is::<ReplayBody<String>>::DEFAULT,
    ];
    assert_eq!(replay, [false, false]);
}

#[tokio::test(start_paused = true)]
async fn a_send_checked_async_function_over_boxed_errors_compiles_without_annotations() {
    let service = ServiceBuilder::new()
        .layer(ReplayLayer::new())
        .timeout(crate::common::SECOND)
        .service(service_fn(|request: Request<ReplayBody<MockBody>>| async {
            Ok::<_, BoxError>(Response::new(read(request.into_body()).await))
        }));
    let task = tokio::spawn(async move {
        let mut service = service;
        let request = Request::new(MockBody::full("one"));
        let answer = service.ready().await?.call(request).await?;
        tokio::task::yield_now().await;
        service.ready().await?;
        Ok::<_, BoxError>(answer)
    });
    assert_eq!(task.await.unwrap().unwrap().into_body(), text("one"));
}

#[tokio::test]
async fn boxed_services_go_under_the_layer_and_the_layer_into_boxes() {
    let inner = BoxCloneService::new(service_fn(|request: Request<ReplayBody<MockBody>>| async {
        Ok::<_, BoxError>(request.into_body())
    }));
    let service = BoxCloneService::new(ReplayLayer::new().layer(inner));
    let body = service.oneshot(Request::new(MockBody::full("one"))).await;
    assert_eq!(read(body.unwrap()).await, text("one"));
}

#[tokio::test]
async fn a_layer_over_a_layer_keeps_what_is_kept() {
    let inner = service_fn(|request: Request<ReplayBody<ReplayBody<MockBody>>>| async {
        Ok::<_, TestError>(request.into_body())
    });
    let service = ReplayLayer::new().layer(ReplayLayer::new().layer(inner));
    let body = service.oneshot(Request::new(MockBody::full("one"))).await;
    assert_eq!(read(body.unwrap().again().unwrap()).await, text("one"));
}
