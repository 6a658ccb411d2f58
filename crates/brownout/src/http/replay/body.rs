use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use super::{gathering::Gathering, kept::Kept};

/// A request body that can be made again, if it was small enough to be [kept](super::ReplayLayer).
///
/// Its data is `Bytes`; what comes as another type is copied. Its error is that of the body itself.
#[pin_project]
pub struct ReplayBody<B: Body> {
    #[pin]
    state: State<B>,
}

// Neither `Clone` nor `Default`: a body that passes has no copy, and none that is empty could stand for it.
#[pin_project(project = Project)]
enum State<B: Body> {
    Kept(Kept),
    Passing(#[pin] B),
    /// Partly in memory. Rare, so it does not make the others larger.
    Interrupted(Pin<Box<Gathering<B>>>),
}

impl<B: Body> ReplayBody<B> {
    /// A body of these bytes, which can be made again: for a tier that asks something else than what it was asked.
    pub fn kept(bytes: impl Into<Bytes>) -> Self {
        Self::whole(Kept::new(bytes.into()))
    }

    #[inline]
    pub(super) fn empty() -> Self {
        Self::whole(Kept::new(Bytes::new()))
    }

    #[inline]
    pub(super) fn whole(kept: Kept) -> Self {
        Self {
            state: State::Kept(kept),
        }
    }

    #[inline]
    pub(super) fn passing(body: B) -> Self {
        Self {
            state: State::Passing(body),
        }
    }

    pub(super) fn interrupted(body: Pin<Box<Gathering<B>>>) -> Self {
        Self {
            state: State::Interrupted(body),
        }
    }

    /// The body once more, from its start, whatever has been read from this one. `None` if it is not kept.
    ///
    /// The bytes are shared, not copied. Any number can be made, also of those that were made again.
    #[inline]
    pub fn again(&self) -> Option<Self> {
        match &self.state {
            State::Kept(kept) => Some(Self::whole(kept.again())),
            State::Passing(_) | State::Interrupted(_) => None,
        }
    }
}

impl<B: Body> Body for ReplayBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().state.project() {
            Project::Kept(kept) => Poll::Ready(kept.next_frame().map(Ok)),
            Project::Passing(body) => poll_bytes(body, cx),
            Project::Interrupted(body) => body.as_mut().poll_again(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Kept(kept) => kept.is_end(),
            State::Passing(body) => body.is_end_stream(),
            State::Interrupted(body) => body.is_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Kept(kept) => kept.left(),
            State::Passing(body) => body.size_hint(),
            State::Interrupted(body) => body.left(),
        }
    }
}

/// The next frame, its data as `Bytes`: without a copy, if that is what they are.
pub(super) fn poll_bytes<B: Body>(
    body: Pin<&mut B>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
    body.poll_frame(cx).map_ok(|frame| {
        frame.map_data(|mut data| {
            let length = data.remaining();
            data.copy_to_bytes(length)
        })
    })
}

impl<B: Body> fmt::Debug for ReplayBody<B> {
    // Without what is in it: a request's body may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = matches!(self.state, State::Kept(_));
        f.debug_struct("ReplayBody")
            .field("kept", &kept)
            .field("left", &self.size_hint())
            .finish()
    }
}
