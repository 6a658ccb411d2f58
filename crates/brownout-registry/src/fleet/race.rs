//! Waiting for whichever of two things comes first.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Which came first.
pub(super) enum First<A, B> {
    One(A),
    Other(B),
}

/// Waits for the first of the two, and drops the other. Of two that are there, the one counts.
pub(super) async fn first<A: Future, B: Future>(one: A, other: B) -> First<A::Output, B::Output> {
    let mut one = pin!(one);
    let mut other = pin!(other);
    poll_fn(|context| {
        if let Poll::Ready(one) = one.as_mut().poll(context) {
            return Poll::Ready(First::One(one));
        }
        other.as_mut().poll(context).map(First::Other)
    })
    .await
}
