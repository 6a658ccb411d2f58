use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::core::collector::{self, Slot};

use super::wire::{self, DEGRADED};

/// A body whose making may still add marks, which a gRPC answer shows in its trailers.
#[pin_project]
pub struct DegradedBody<B> {
    #[pin]
    body: B,
    slot: Slot,
    /// Whether trailers show what came after the head.
    late: bool,
}

impl<B> DegradedBody<B> {
    #[inline]
    pub(super) const fn new(body: B, slot: Slot, late: bool) -> Self {
        Self { body, slot, late }
    }

    /// The body itself.
    pub const fn get_ref(&self) -> &B {
        &self.body
    }
}

impl<B: Body> Body for DegradedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let current = this.slot.enter();
        let mut polled = this.body.poll_frame(cx);
        drop(current);
        if *this.late
            && let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(trailers) = frame.trailers_mut()
        {
            show(this.slot, trailers);
        }
        polled
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cold]
fn show(slot: &Slot, trailers: &mut HeaderMap) {
    trailers.remove(&DEGRADED);
    let late = slot.tell();
    for mark in &late {
        collector::collect(mark);
    }
    if let Some(value) = wire::value(&late) {
        trailers.insert(&DEGRADED, value);
    }
}

impl<B: fmt::Debug> fmt::Debug for DegradedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DegradedBody")
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}
