//! The body itself.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use tokio::time::Sleep;

use super::watch::BodyWatch;
use crate::error::TestError;

/// A body made of steps, with an error type of your choice.
///
/// It is not `Unpin`: pin it (`std::pin::pin!`) to read it frame by frame.
#[pin_project]
pub struct MockBody<E = TestError> {
    steps: VecDeque<Step<E>>,
    size_hint: Option<SizeHint>,
    end_stream: Option<bool>,
    #[pin]
    sleep: Option<Sleep>,
    watch: DropWatch,
}

/// One thing a [`MockBody`] does, made by the functions of this module.
pub struct Step<E>(Kind<E>);

enum Kind<E> {
    Data(Bytes),
    Trailers(HeaderMap),
    Error(E),
    Pending,
    Delay(Duration),
    Hold,
    Hang,
    Panic,
}

/// Tells the watch of the body's drop; a field, so that the body itself stays free to be taken apart.
struct DropWatch(BodyWatch);

/// A frame of data.
pub fn data<E>(bytes: impl Into<Bytes>) -> Step<E> {
    Step(Kind::Data(bytes.into()))
}

/// A frame of trailers.
pub const fn trailers<E>(trailers: HeaderMap) -> Step<E> {
    Step(Kind::Trailers(trailers))
}

/// An error; the steps after it are never reached, as with a broken connection.
pub const fn error<E>(error: E) -> Step<E> {
    Step(Kind::Error(error))
}

/// One poll that returns `Pending` and wakes its task at once: an await point that takes no time.
pub const fn pending<E>() -> Step<E> {
    Step(Kind::Pending)
}

/// A pause by tokio's clock, counted from the poll that reaches it.
pub const fn delay<E>(pause: Duration) -> Step<E> {
    Step(Kind::Delay(pause))
}

/// A pause that lasts until [`BodyWatch::release`].
pub const fn hold<E>() -> Step<E> {
    Step(Kind::Hold)
}

/// A body that never goes on.
pub const fn hang<E>() -> Step<E> {
    Step(Kind::Hang)
}

/// A panic while the body is polled.
pub const fn panic<E>() -> Step<E> {
    Step(Kind::Panic)
}

// For this error only, so that `MockBody::full("…")` needs no annotation.
impl MockBody {
    /// Makes an empty body. For another error type: `MockBody::<E>::new([])`.
    pub fn empty() -> Self {
        Self::new([])
    }

    /// Makes a body of one frame of data. For another error type: `MockBody::<E>::new([data(…)])`.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::new([data(bytes)])
    }
}

impl<E> MockBody<E> {
    /// Makes a body of these steps. It ends after the last one.
    pub fn new(steps: impl IntoIterator<Item = Step<E>>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            size_hint: None,
            end_stream: None,
            sleep: None,
            watch: DropWatch(BodyWatch::default()),
        }
    }

    /// Says what [`Body::size_hint`] returns, true or not. Default: exactly the data that is left, or no upper bound
    /// where an error, a hang or a panic is still to come.
    pub fn with_size_hint(mut self, hint: SizeHint) -> Self {
        self.size_hint = Some(hint);
        self
    }

    /// Says that the size is not known, as of a chunked body.
    pub fn with_unknown_size(self) -> Self {
        self.with_size_hint(SizeHint::default())
    }

    /// Says what [`Body::is_end_stream`] returns, true or not. Default: whether no step is left.
    pub const fn with_end_stream(mut self, end: bool) -> Self {
        self.end_stream = Some(end);
        self
    }

    /// The watch of this body.
    pub fn watch(&self) -> BodyWatch {
        self.watch.0.clone()
    }

    /// The body and its watch, where both are wanted at once.
    pub fn watched(self) -> (Self, BodyWatch) {
        let watch = self.watch();
        (self, watch)
    }

    fn honest_size_hint(&self) -> SizeHint {
        let left = self.steps.iter().map(Step::bytes).sum();
        if self.steps.iter().all(Step::goes_on) {
            return SizeHint::with_exact(left);
        }
        SizeHint::default()
    }
}

impl<E> Body for MockBody<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        let mut this = self.project();
        let watch = &this.watch.0;
        watch.saw_poll();
        loop {
            if let Some(sleep) = this.sleep.as_mut().as_pin_mut() {
                ready!(sleep.poll(cx));
                this.sleep.set(None);
            }
            if let Some(Step(Kind::Hold)) = this.steps.front() {
                ready!(watch.poll_released(cx.waker().clone()));
                this.steps.pop_front();
                continue;
            }
            if let Some(Step(Kind::Hang)) = this.steps.front() {
                return Poll::Pending;
            }
            match this.steps.pop_front().map(|Step(kind)| kind) {
                Some(Kind::Data(bytes)) => {
                    watch.saw_frame(bytes.len());
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Kind::Trailers(trailers)) => {
                    watch.saw_frame(0);
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Some(Kind::Error(error)) => {
                    this.steps.clear();
                    watch.saw_error();
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Kind::Pending) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Kind::Delay(pause)) => this.sleep.set(Some(tokio::time::sleep(pause))),
                Some(Kind::Panic) => panic!("scripted panic while the body was polled"),
                Some(Kind::Hold | Kind::Hang) => unreachable!("these two stay in front, above"),
                None => {
                    watch.saw_end();
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.end_stream
            .unwrap_or(self.steps.is_empty() && self.sleep.is_none())
    }

    fn size_hint(&self) -> SizeHint {
        self.size_hint.unwrap_or_else(|| self.honest_size_hint())
    }
}

impl<E> Step<E> {
    fn bytes(&self) -> u64 {
        match &self.0 {
            Kind::Data(bytes) => bytes.len() as u64,
            _ => 0,
        }
    }

    fn goes_on(&self) -> bool {
        !matches!(self.0, Kind::Error(_) | Kind::Hang | Kind::Panic)
    }
}

impl Drop for DropWatch {
    fn drop(&mut self) {
        self.0.saw_drop();
    }
}

impl<E> fmt::Debug for MockBody<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockBody")
            .field("steps", &self.steps)
            .field("size_hint", &self.size_hint)
            .field("end_stream", &self.end_stream)
            .finish_non_exhaustive()
    }
}

impl<E> fmt::Debug for Step<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Data(bytes) => f.debug_tuple("Data").field(bytes).finish(),
            Kind::Trailers(trailers) => f.debug_tuple("Trailers").field(trailers).finish(),
            Kind::Error(_) => f.write_str("Error(..)"),
            Kind::Pending => f.write_str("Pending"),
            Kind::Delay(pause) => f.debug_tuple("Delay").field(pause).finish(),
            Kind::Hold => f.write_str("Hold"),
            Kind::Hang => f.write_str("Hang"),
            Kind::Panic => f.write_str("Panic"),
        }
    }
}
