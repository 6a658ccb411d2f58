use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use tokio::{
    task::coop::unconstrained,
    time::{Instant, Sleep, sleep_until},
};

/// When whoever is asked has to be done, and the timer that wakes the task then.
#[derive(Debug)]
pub struct Timer {
    due: Option<Instant>,
    /// Made only for one who does not answer at once. Boxed, since it is larger than all the rest.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    #[inline]
    pub(super) fn new(due: Option<Instant>) -> Self {
        Self { due, sleep: None }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the time is over. Sees to it that the task is woken when it is.
    #[inline]
    pub(super) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(due) = self.due else {
            return false;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // Outside the budget that the runtime gives a task: whoever is asked may have used up all of it, each time.
        pin!(unconstrained(sleep.as_mut())).poll(cx).is_ready()
    }
}

/// Polls somebody who may have no time left; `None` when it is over.
#[inline]
pub(super) fn poll_before<F: Future>(
    future: Pin<&mut F>,
    timer: &mut Timer,
    cx: &mut Context<'_>,
) -> Poll<Option<F::Output>> {
    match future.poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if timer.is_over(cx) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    }
}
