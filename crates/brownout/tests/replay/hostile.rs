//! Bodies that do their worst.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use brownout::http::ReplayLayer;
use brownout_testing::TestError;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, ServiceExt, service_fn};

use crate::common::SECOND;

/// Says that a byte is to come, and gives frames of nothing without end, each of them at once.
struct Nothings;

impl Body for Nothings {
    type Data = Bytes;
    type Error = TestError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TestError>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(1)
    }
}

#[test]
fn a_body_that_goes_on_without_end_does_not_keep_the_thread() {
    let (done, is_done) = std::sync::mpsc::channel();
    // In a thread of its own, which a call that never gives way would not leave.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let service = ReplayLayer::new().layer(service_fn(|_| async {
            Ok::<_, TestError>(Response::new(()))
        }));
        let call = service.oneshot(Request::new(Nothings));
        let over = runtime.block_on(async { tokio::time::timeout(SECOND / 50, call).await });
        let _ = done.send(over.is_err());
    });
    assert_eq!(is_done.recv_timeout(SECOND * 10), Ok(true));
}
