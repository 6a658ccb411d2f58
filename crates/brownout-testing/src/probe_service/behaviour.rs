//! What a probe does when it is asked for readiness, and when it is called.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The way a probe turns a request into an answer.
pub(super) type Answer<Req, Res, E> = Arc<dyn Fn(Req) -> Result<Res, E> + Send + Sync>;

/// What a probe's `poll_ready` says, at once and to every instance.
pub enum Readiness<E> {
    /// `Ready(Ok(()))`.
    Ready,
    /// `Pending`, until the handle says otherwise; each instance's own waker is kept.
    Pending,
    /// `Ready(Err(_))`, with a fresh error each time.
    Fail(Arc<dyn Fn() -> E + Send + Sync>),
}

impl<E> Readiness<E> {
    /// Readiness that fails with the error this closure makes.
    pub fn fail(error: impl Fn() -> E + Send + Sync + 'static) -> Self {
        Self::Fail(Arc::new(error))
    }
}

impl<E> Clone for Readiness<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Ready => Self::Ready,
            Self::Pending => Self::Pending,
            Self::Fail(error) => Self::Fail(Arc::clone(error)),
        }
    }
}

impl<E> fmt::Debug for Readiness<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "Ready",
            Self::Pending => "Pending",
            Self::Fail(_) => "Fail(..)",
        })
    }
}

/// What a probe does with one call: how long it takes, and how it ends.
///
/// A call first gives way as often as [`yielding`](Self::yielding) says, then lets the time of [`after`](Self::after)
/// pass, then ends. All of it happens while the call's future is polled; time is tokio's, starts at the first poll that
/// has no more yields to make, and obeys a paused clock.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use brownout_testing::{Behaviour, TestError};
///
/// let slow = Behaviour::answer(|n: u32| Ok::<_, TestError>(n)).after(Duration::from_secs(2));
/// let panics_at_the_third_poll = Behaviour::<u32, u32, TestError>::panic_in_poll().yielding(2);
/// # let _ = (slow, panics_at_the_third_poll);
/// ```
pub struct Behaviour<Req, Res, E> {
    pub(super) yields: u32,
    pub(super) delay: Duration,
    pub(super) end: End<Req, Res, E>,
}

/// How a call ends.
pub(super) enum End<Req, Res, E> {
    Answer(Answer<Req, Res, E>),
    Hold(Answer<Req, Res, E>),
    Hang,
    PanicInCall(Cow<'static, str>),
    PanicInPoll,
}

impl<Req, Res, E> Behaviour<Req, Res, E> {
    /// Answers with what the closure makes of the request. The closure runs while the future is polled.
    pub fn answer(answer: impl Fn(Req) -> Result<Res, E> + Send + Sync + 'static) -> Self {
        Self::ending(End::Answer(Arc::new(answer)))
    }

    /// Stays in flight until [`ProbeHandle::release`](super::ProbeHandle::release), then answers.
    pub fn hold(answer: impl Fn(Req) -> Result<Res, E> + Send + Sync + 'static) -> Self {
        Self::ending(End::Hold(Arc::new(answer)))
    }

    /// Never completes; only dropping its future ends the call.
    pub fn hang() -> Self {
        Self::ending(End::Hang)
    }

    /// Panics inside `call`, before there is a future.
    pub fn panic_in_call() -> Self {
        Self::panic_with("scripted panic in `call`".into())
    }

    /// Panics while its future is polled: at the first poll, or after the yields and the delay.
    pub fn panic_in_poll() -> Self {
        Self::ending(End::PanicInPoll)
    }

    /// Returns `Pending` this many times first, waking its task at once each time.
    ///
    /// This makes await points without any passing of time, for tests that drop or panic at each of them.
    pub fn yielding(mut self, times: u32) -> Self {
        self.yields = times;
        self
    }

    /// Lets this much of tokio's time pass before it ends. Default: none.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    pub(crate) fn panic_with(message: Cow<'static, str>) -> Self {
        Self::ending(End::PanicInCall(message))
    }

    fn ending(end: End<Req, Res, E>) -> Self {
        Self {
            yields: 0,
            delay: Duration::ZERO,
            end,
        }
    }
}

impl<Req, Res, E> Clone for Behaviour<Req, Res, E> {
    fn clone(&self) -> Self {
        Self {
            yields: self.yields,
            delay: self.delay,
            end: self.end.clone(),
        }
    }
}

impl<Req, Res, E> fmt::Debug for Behaviour<Req, Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behaviour")
            .field("yields", &self.yields)
            .field("delay", &self.delay)
            .field("end", &self.end)
            .finish()
    }
}

impl<Req, Res, E> Clone for End<Req, Res, E> {
    fn clone(&self) -> Self {
        match self {
            Self::Answer(answer) => Self::Answer(Arc::clone(answer)),
            Self::Hold(answer) => Self::Hold(Arc::clone(answer)),
            Self::Hang => Self::Hang,
            Self::PanicInCall(message) => Self::PanicInCall(message.clone()),
            Self::PanicInPoll => Self::PanicInPoll,
        }
    }
}

impl<Req, Res, E> fmt::Debug for End<Req, Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answer(_) => "Answer(..)",
            Self::Hold(_) => "Hold(..)",
            Self::Hang => "Hang",
            Self::PanicInCall(_) => "PanicInCall",
            Self::PanicInPoll => "PanicInPoll",
        })
    }
}
