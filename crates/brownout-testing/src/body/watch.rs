//! What became of a body.

use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use crate::sync::lock;

/// Observes one [`MockBody`](super::MockBody), also after it is gone.
///
/// A body's life ends in one of four ways: read to its end, failed, dropped midway, or dropped unpolled.
#[derive(Clone, Debug, Default)]
pub struct BodyWatch {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    polls: usize,
    polls_after_end: usize,
    frames: usize,
    bytes: usize,
    ended: bool,
    failed: bool,
    dropped: bool,
    releases: usize,
    waiting: Option<Waker>,
}

impl BodyWatch {
    /// Whether the body was polled at all.
    pub fn polled(&self) -> bool {
        self.polls() > 0
    }

    /// How often the body was polled.
    pub fn polls(&self) -> usize {
        lock(&self.seen).polls
    }

    /// How often the body was polled although it had ended; it answered `None` again.
    pub fn polls_after_end(&self) -> usize {
        lock(&self.seen).polls_after_end
    }

    /// How many frames were taken, data and trailers.
    pub fn frames(&self) -> usize {
        lock(&self.seen).frames
    }

    /// How many bytes of data were taken.
    pub fn bytes(&self) -> usize {
        lock(&self.seen).bytes
    }

    /// Whether the body was polled to its end, `None`.
    pub fn ended(&self) -> bool {
        lock(&self.seen).ended
    }

    /// Whether the body gave its error to somebody.
    pub fn failed(&self) -> bool {
        lock(&self.seen).failed
    }

    /// Whether the body was dropped, whatever it had given before.
    pub fn dropped(&self) -> bool {
        lock(&self.seen).dropped
    }

    /// Whether the body was polled, then dropped before it ended or failed.
    ///
    /// A body that says [`is_end_stream`](http_body::Body::is_end_stream) need not be polled to `None`; ask
    /// [`bytes`](Self::bytes) or [`frames`](Self::frames) where that matters.
    pub fn dropped_midway(&self) -> bool {
        let seen = lock(&self.seen);
        seen.dropped && seen.polls > 0 && !seen.ended && !seen.failed
    }

    /// Whether the body was dropped and nobody had polled it.
    pub fn dropped_unpolled(&self) -> bool {
        let seen = lock(&self.seen);
        seen.dropped && seen.polls == 0
    }

    /// Lets the body go on past one [`hold`](super::hold) step, the present one or the next.
    pub fn release(&self) {
        let waker = {
            let mut seen = lock(&self.seen);
            seen.releases += 1;
            seen.waiting.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn saw_poll(&self) {
        let mut seen = lock(&self.seen);
        seen.polls += 1;
        seen.polls_after_end += usize::from(seen.ended);
    }

    pub(super) fn saw_frame(&self, bytes: usize) {
        let mut seen = lock(&self.seen);
        seen.frames += 1;
        seen.bytes += bytes;
    }

    pub(super) fn saw_error(&self) {
        lock(&self.seen).failed = true;
    }

    pub(super) fn saw_end(&self) {
        lock(&self.seen).ended = true;
    }

    pub(super) fn saw_drop(&self) {
        let _waker = {
            let mut seen = lock(&self.seen);
            seen.dropped = true;
            seen.waiting.take()
        };
    }

    pub(super) fn poll_released(&self, waker: Waker) -> Poll<()> {
        let mut seen = lock(&self.seen);
        if seen.releases > 0 {
            seen.releases -= 1;
            return Poll::Ready(());
        }
        let before = seen.waiting.replace(waker);
        drop(seen);
        drop(before);
        Poll::Pending
    }
}
