//! The future of one call, which knows how it must end and tells how it did.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;
use tokio::time::Sleep;

use super::behaviour::{Behaviour, End};
use super::state::Shared;
use super::violation::Violation;

/// The future of a [`ProbeService`](super::ProbeService)'s call.
///
/// It is not `Unpin`, as the futures of `async` blocks aren't.
///
/// # Panics
///
/// When it is polled after it has completed or panicked, and where its [`Behaviour`] says so.
#[pin_project]
pub struct ProbeFuture<Req, Res, E> {
    flight: Flight<Req, Res, E>,
    request: Option<Req>,
    yields: u32,
    delay: Duration,
    #[pin]
    sleep: Option<Sleep>,
    end: End<Req, Res, E>,
}

/// A call in flight. Dropped before it ended, it counts as dropped; whatever happens, it ends once.
struct Flight<Req, Res, E> {
    shared: Arc<Shared<Req, Res, E>>,
    call: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    InFlight,
    Completed,
    Panicked,
}

/// An end under way: a panic unless it is told to be a completion.
struct Ending<'a, Req, Res, E> {
    flight: &'a mut Flight<Req, Res, E>,
    phase: Phase,
}

impl<Req, Res, E> ProbeFuture<Req, Res, E> {
    pub(super) fn new(
        shared: Arc<Shared<Req, Res, E>>,
        call: u64,
        request: Req,
        behaviour: &Behaviour<Req, Res, E>,
    ) -> Self {
        Self {
            flight: Flight {
                shared,
                call,
                phase: Phase::InFlight,
            },
            request: Some(request),
            yields: behaviour.yields,
            delay: behaviour.delay,
            sleep: None,
            end: behaviour.end.clone(),
        }
    }

    /// Ends the call by a panic with this message.
    pub(super) fn panic(&mut self, message: &str) -> ! {
        self.flight.panic(message)
    }
}

impl<Req, Res, E> Future for ProbeFuture<Req, Res, E> {
    type Output = Result<Res, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        this.flight.polled();

        if *this.yields > 0 {
            *this.yields -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !this.delay.is_zero() {
            // Made here and not in `call`, which may run outside a runtime.
            this.sleep
                .set(Some(tokio::time::sleep(std::mem::take(this.delay))));
        }
        if let Some(sleep) = this.sleep.as_mut().as_pin_mut() {
            ready!(sleep.poll(cx));
            this.sleep.set(None);
        }

        let answer = match this.end {
            End::Answer(answer) => answer,
            End::Hold(answer) => {
                ready!(this.flight.poll_released(cx));
                answer
            }
            End::Hang => return Poll::Pending,
            End::PanicInCall(message) => this.flight.panic(message),
            End::PanicInPoll => this
                .flight
                .panic("scripted panic while the future was polled"),
        };
        let Some(request) = this.request.take() else {
            unreachable!(
                "the request leaves with the answer, and `polled` lets no poll through after it"
            );
        };
        let ending = this.flight.ending();
        let result = answer(request);
        ending.completed();
        Poll::Ready(result)
    }
}

impl<Req, Res, E> Flight<Req, Res, E> {
    fn polled(&self) {
        if self.phase != Phase::InFlight {
            self.shared.violated(Violation::PolledAfterEnd {
                call: self.call,
                panicked: self.phase == Phase::Panicked,
            });
        }
        self.shared.change(|state| state.count_poll(self.call));
    }

    fn poll_released(&self, cx: &Context<'_>) -> Poll<()> {
        self.shared.poll_released(self.call, cx.waker().clone())
    }

    /// The end of this call, whose answer user code is about to make.
    fn ending(&mut self) -> Ending<'_, Req, Res, E> {
        Ending {
            flight: self,
            phase: Phase::Panicked,
        }
    }

    fn panic(&mut self, message: &str) -> ! {
        let _ending = self.ending();
        panic!("{message}");
    }
}

impl<Req, Res, E> Ending<'_, Req, Res, E> {
    fn completed(mut self) {
        self.phase = Phase::Completed;
    }
}

impl<Req, Res, E> Drop for Ending<'_, Req, Res, E> {
    fn drop(&mut self) {
        let Self { flight, phase } = self;
        flight.phase = *phase;
        flight.shared.change(|state| {
            state.counts.in_flight -= 1;
            match phase {
                Phase::Completed => state.counts.completed += 1,
                Phase::Panicked | Phase::InFlight => state.counts.panicked += 1,
            }
        });
    }
}

impl<Req, Res, E> Drop for Flight<Req, Res, E> {
    fn drop(&mut self) {
        let in_flight = self.phase == Phase::InFlight;
        let _waker = self.shared.change(|state| {
            if in_flight {
                state.counts.in_flight -= 1;
                state.counts.dropped += 1;
            }
            state.held.remove(&self.call)
        });
    }
}

impl<Req, Res, E> fmt::Debug for ProbeFuture<Req, Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeFuture")
            .field("call", &self.flight.call)
            .field("phase", &self.flight.phase)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
