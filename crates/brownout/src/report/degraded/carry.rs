use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project::pin_project;

use crate::core::{
    Degraded,
    collector::{self, Slot},
};

/// Adds a mark to the answer of the current request: for handlers that leave something out themselves.
///
/// The request is the one for which the caller is polled, below a [`DegradedLayer`](super::DegradedLayer); elsewhere
/// nothing happens. A mark that says no more than another one has said already is dropped; one that says the same and
/// more, such as the age of the copy that a tier has answered with, takes the other's place. Beyond the sixteenth, marks
/// are dropped too, unless they have a public name and take the place of one that has none.
pub fn note(mark: &Degraded) {
    collector::collect(mark);
}

/// Lets a future that will run in a task of its own add its marks to the answer of the current request.
///
/// The request is the one for which this is called. What is marked after the answer's head has left appears in the
/// trailers of a gRPC answer, and nowhere in others.
///
/// ```
/// # async fn recommendations() {}
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let recommended = tokio::spawn(brownout::report::carry(recommendations()));
/// # recommended.await.unwrap();
/// # }
/// ```
pub fn carry<F>(future: F) -> Carry<F> {
    Carry {
        future,
        slot: Slot::current(),
    }
}

/// The future of [`carry`].
#[pin_project]
pub struct Carry<F> {
    #[pin]
    future: F,
    slot: Slot,
}

impl<F: Future> Future for Carry<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _current = this.slot.enter();
        this.future.poll(cx)
    }
}

impl<F> fmt::Debug for Carry<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carry")
            .field("for_a_request", &self.slot.is_filled())
            .finish_non_exhaustive()
    }
}
