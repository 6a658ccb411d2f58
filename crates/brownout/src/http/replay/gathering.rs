use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use super::{body::poll_bytes, kept::Kept, pieces::Pieces};

/// How many frames are read before other tasks get their turn. A body may have any number of empty ones.
const AT_ONCE: u32 = 128;

/// A body that is read into memory; and where that fails, the body that gives everything again, as it would have come.
#[pin_project]
pub(super) struct Gathering<B: Body> {
    #[pin]
    body: B,
    pieces: Pieces,
    /// What came after these and cannot be kept: a frame too much, or an error.
    then: Option<Result<Frame<Bytes>, B::Error>>,
    /// The size it has said, less what was given again. Not asked of the body later, which knows only what it has left:
    /// after an error that may be exactly nothing, and what was gathered would pass for the whole.
    promise: SizeHint,
}

impl<B: Body> Gathering<B> {
    pub(super) fn new(body: B, bound: usize) -> Self {
        Self {
            pieces: Pieces::new(bound),
            then: None,
            promise: body.size_hint(),
            body,
        }
    }

    /// Reads the body. `None` if not all of it can be kept: then go on with [`poll_again`](Self::poll_again).
    pub(super) fn poll_whole(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Kept>> {
        let mut this = self.project();
        let mut frames = 0;
        while let Some(frame) = ready!(poll_bytes(this.body.as_mut(), cx)) {
            let too_much = match frame {
                Ok(frame) => match this.pieces.add(frame) {
                    Ok(()) if this.body.is_end_stream() => break,
                    Ok(()) => {
                        frames += 1;
                        if frames == AT_ONCE {
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                        continue;
                    }
                    Err(frame) => Ok(frame),
                },
                Err(error) => Err(error),
            };
            let bytes = this.pieces.len() as u64 + bytes_of(&too_much);
            if less(*this.promise, bytes).is_none() {
                *this.promise = SizeHint::default();
            }
            *this.then = Some(too_much);
            return Poll::Ready(None);
        }
        let sized = this.promise.exact().is_some();
        Poll::Ready(Some(this.pieces.take(sized)))
    }

    /// Gives what was gathered, then what came after it, then the rest.
    pub(super) fn poll_again(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let gathered = this.pieces.next_frame().map(Ok);
        let frame = match gathered.or_else(|| this.then.take()) {
            Some(frame) => Some(frame),
            None => ready!(poll_bytes(this.body, cx)),
        };
        let bytes = frame.as_ref().map_or(0, bytes_of);
        *this.promise = less(*this.promise, bytes).unwrap_or_default();
        Poll::Ready(frame)
    }

    /// Whether nothing is left to be given again.
    pub(super) fn is_end(&self) -> bool {
        self.pieces.is_empty() && self.then.is_none() && self.body.is_end_stream()
    }

    /// How much is left to be given again.
    pub(super) fn left(&self) -> SizeHint {
        self.promise
    }
}

fn bytes_of<E>(frame: &Result<Frame<Bytes>, E>) -> u64 {
    let data = frame.as_ref().ok().and_then(Frame::data_ref);
    data.map_or(0, |data| data.len() as u64)
}

/// What is left of a promised size; `None` if it was exceeded, and is worth nothing.
fn less(promise: SizeHint, given: u64) -> Option<SizeHint> {
    let mut left = SizeHint::default();
    if let Some(most) = promise.upper() {
        left.set_upper(most.checked_sub(given)?);
    }
    left.set_lower(promise.lower().saturating_sub(given));
    Some(left)
}
