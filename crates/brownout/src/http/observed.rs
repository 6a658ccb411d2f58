use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project::{pin_project, pinned_drop};

use crate::core::{Settle, Verdict, unwind::OnUnwind};

/// A body that settles its call's ticket when it ends. See [`AtEnd`](super::AtEnd) for how.
#[pin_project(PinnedDrop)]
pub struct ObservedBody<B, T: Settle> {
    #[pin]
    body: B,
    watch: Option<Watch<T>>,
}

/// Kept small: an answer is moved by every layer that it passes.
struct Watch<T> {
    ticket: T,
    polled: bool,
    /// The head is neutral. Otherwise it is a success: a body whose head has failed is not waited for.
    is_neutral: bool,
    without_trailers: Verdict,
    with_trailers: fn(Verdict, &HeaderMap) -> Verdict,
}

impl<T> Watch<T> {
    #[inline]
    fn head(&self) -> Verdict {
        if self.is_neutral {
            Verdict::Neutral
        } else {
            Verdict::Success
        }
    }
}

impl<B, T: Settle> ObservedBody<B, T> {
    /// `head` is no failure where there is a ticket.
    #[inline]
    pub(super) fn new(
        body: B,
        ticket: Option<T>,
        head: Verdict,
        without_trailers: Verdict,
        with_trailers: fn(Verdict, &HeaderMap) -> Verdict,
    ) -> Self {
        Self {
            body,
            watch: ticket.map(|ticket| Watch {
                ticket,
                polled: false,
                is_neutral: head == Verdict::Neutral,
                without_trailers,
                with_trailers,
            }),
        }
    }

    /// The body itself.
    pub fn get_ref(&self) -> &B {
        &self.body
    }
}

impl<B, T> Body for ObservedBody<B, T>
where
    B: Body,
    T: Settle,
{
    type Data = B::Data;
    type Error = B::Error;

    // The frame is handed on where it lies.
    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        match this.watch {
            Some(watch) => watch.polled = true,
            None => return this.body.poll_frame(cx),
        }
        let unwinding = OnUnwind(|| {
            if let Some(mut watch) = this.watch.take() {
                watch.ticket.settle(Verdict::Failure);
            }
        });
        let polled = this.body.as_mut().poll_frame(cx);
        unwinding.disarm();
        let Some(watch) = this.watch else {
            return polled;
        };
        let verdict = match &polled {
            Poll::Pending => None,
            Poll::Ready(None) => Some(watch.without_trailers),
            Poll::Ready(Some(Err(_))) => Some(Verdict::Failure),
            Poll::Ready(Some(Ok(frame))) => match frame.trailers_ref() {
                Some(trailers) => Some((watch.with_trailers)(watch.head(), trailers)),
                // hyper does not poll a body to its `None` when it knows that the last frame was the last.
                None => this.body.is_end_stream().then_some(watch.without_trailers),
            },
        };
        if let Some(verdict) = verdict
            && let Some(mut watch) = this.watch.take()
        {
            watch.ticket.settle(verdict);
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

#[pinned_drop]
impl<B, T: Settle> PinnedDrop for ObservedBody<B, T> {
    fn drop(self: Pin<&mut Self>) {
        if let Some(mut watch) = self.project().watch.take()
            && !watch.polled
        {
            // Nobody wanted the body: the head is all there is to judge. (Half-way, dropping the ticket abandons it.)
            let head = watch.head();
            watch.ticket.settle(head);
        }
    }
}

impl<B: fmt::Debug, T: Settle> fmt::Debug for ObservedBody<B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedBody")
            .field("body", &self.body)
            .field("judged", &self.watch.is_none())
            .finish()
    }
}
