//! A request without a body, or whose body is passed on, allocates nothing; one that is kept, what its documentation says.
//!
//! A test binary of its own, because it counts the allocations of its thread.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{
    convert::Infallible,
    future::ready,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use allocation_counter::{AllocationInfo, measure};
use brownout::http::{ReplayBody, ReplayLayer};
use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service, service_fn};

/// A body of these frames, which allocates nothing.
struct Frames(&'static [&'static [u8]]);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some((frame, rest)) = self.0.split_first() else {
            return Poll::Ready(None);
        };
        self.0 = rest;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(frame)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|frame| frame.len() as u64).sum())
    }
}

/// What a call with such a body allocates, made on a clone of the service and answered with the body's copy.
fn allocated(layer: ReplayLayer, frames: &'static [&'static [u8]]) -> AllocationInfo {
    let service = layer.layer(service_fn(|request: Request<ReplayBody<Frames>>| {
        ready(Ok::<_, Infallible>(request.body().again().is_some()))
    }));
    measure(|| {
        let mut cx = Context::from_waker(Waker::noop());
        let mut service = service.clone();
        assert!(service.poll_ready(&mut cx).is_ready());
        let call = pin!(service.call(Request::new(Frames(frames))));
        assert!(call.poll(&mut cx).is_ready());
    })
}

#[test]
fn a_request_without_a_body_allocates_nothing() {
    assert_eq!(allocated(ReplayLayer::new(), &[]).count_total, 0);
}

#[test]
fn a_request_whose_body_is_passed_on_allocates_nothing() {
    let layer = ReplayLayer::new().limit(3);
    assert_eq!(allocated(layer, &[b"four"]).count_total, 0);
}

#[test]
fn a_body_in_one_frame_allocates_what_waits_and_no_buffer() {
    assert_eq!(allocated(ReplayLayer::new(), &[b"four"]).count_total, 2);
}

#[test]
fn a_body_in_many_frames_is_copied_into_a_buffer_no_larger_than_the_bound() {
    const KIB: &[u8] = &[7; 1024];
    let waits = allocated(ReplayLayer::new(), &[KIB]);
    let copied = allocated(ReplayLayer::new(), &[KIB; 48]);
    // Doubled from two frames on: 2, 4, 8, 16, 32 and then the 48 that were promised, instead of 64; and what shares it.
    assert_eq!(copied.count_total - waits.count_total, 6 + 1);
    // While it is doubled for the last time, there are 32 and 48.
    let largest = copied.bytes_max - waits.bytes_max;
    assert!((48 * 1024..81 * 1024).contains(&largest), "{largest}");
    assert_eq!(copied.bytes_current, 0);
}

#[test]
fn making_a_body_again_copies_nothing() {
    let body = ReplayBody::<Frames>::kept(vec![7; 10_000]);
    // The first time, what shares a vector is made.
    drop(body.again());
    assert_eq!(measure(|| drop(body.again())).count_total, 0);
}
