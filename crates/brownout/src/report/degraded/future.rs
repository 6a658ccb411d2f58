//! The futures of services that show, or adopt, degraded marks.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Response, header::CACHE_CONTROL};
use pin_project::pin_project;

use crate::core::{
    Marks,
    collector::{self, Slot},
};

use super::{
    body::DegradedBody,
    wire::{self, DEGRADED},
};

pub use super::adopt::AdoptFuture;

/// The response of a [`DegradedMarks`](super::DegradedMarks) service.
#[pin_project]
pub struct DegradedFuture<F> {
    #[pin]
    future: F,
    /// Closed once the answer has been given.
    slot: Slot,
}

impl<F> DegradedFuture<F> {
    #[inline]
    pub(super) const fn new(future: F, slot: Slot) -> Self {
        Self { future, slot }
    }
}

impl<F, B, E> Future for DegradedFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<DegradedBody<B>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let current = this.slot.enter();
        let polled = this.future.poll(cx);
        drop(current);
        let mut response = ready!(polled)?;
        let late = wire::is_grpc(response.headers());
        let mut slot = mem::take(this.slot);
        // Copied there from somebody else's answer, in whom nobody said to trust.
        wire::strip(response.headers_mut());
        // Made where nobody collects, such as in a buffer's worker, but on this very answer.
        if slot.is_filled() || response.extensions().get::<Marks>().is_some() {
            show(&mut slot, &mut response, late);
        }
        Poll::Ready(Ok(response.map(|body| DegradedBody::new(body, slot, late))))
    }
}

/// Puts what was collected so far into the head of an answer.
#[cold]
fn show<B>(slot: &mut Slot, response: &mut Response<B>, is_grpc: bool) {
    if let Some(marks) = response.extensions().get::<Marks>() {
        for mark in marks.iter() {
            slot.push(mark);
        }
    }
    let marks = slot.tell();
    if marks.is_empty() {
        return;
    }
    let mut all = Marks::default();
    for mark in &marks {
        // A layer like this one further out says it, too.
        collector::collect(mark);
        all.push(mark.clone());
    }
    if let Some(value) = wire::value(&marks) {
        response.headers_mut().insert(&DEGRADED, value);
    }
    if !is_grpc {
        let headers = response.headers_mut();
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
    }
    response.extensions_mut().insert(all);
}

impl<F: fmt::Debug> fmt::Debug for DegradedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DegradedFuture")
            .field("future", &self.future)
            .finish_non_exhaustive()
    }
}
