use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    failed::{FailedParts, RequiredPart},
    list::Run,
    plan::Plan,
    round::{Round, Tally},
};

/// Asks the parts, until all have ended or a required one has failed.
#[pin_project]
pub(super) struct Gathering<R> {
    #[pin]
    run: R,
    plan: Arc<Plan>,
    tally: Tally,
    /// When the whole has to be done; known from the first poll on.
    total: Option<Instant>,
    /// Made only for a call that has a deadline and whose parts do not all answer at once.
    #[pin]
    timer: Option<Sleep>,
    /// Whether it was polled before.
    begun: bool,
    /// The part to poll first, next time.
    first: usize,
}

/// What parts left, and which of them failed.
type Gathered<T> = Result<(T, FailedParts), RequiredPart>;

impl<R> Gathering<R> {
    #[allow(clippy::inline_always, reason = "see `ResponseFuture::new`")]
    #[inline(always)]
    pub(super) fn new(run: R, plan: Arc<Plan>) -> Self {
        Self {
            run,
            tally: Tally::of(&plan),
            plan,
            total: None,
            timer: None,
            begun: false,
            first: 0,
        }
    }

    #[allow(clippy::inline_always, reason = "see `ResponseFuture::new`")]
    #[inline(always)]
    pub(super) fn poll<Seen>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        seen: &Seen,
    ) -> Poll<Gathered<R::Slots>>
    where
        R: Run<Seen>,
    {
        let mut this = self.project();
        let mut round = Round::new(this.plan, this.tally);
        if mem::replace(this.begun, true) {
            round.total = *this.total;
            // Each time another part is the first to be polled: of tokio's budget for a task, a busy part may take
            // all that is left, and the same one would do so every time.
            let (first, parts) = (*this.first, this.plan.parts.len());
            *this.first = (first + 1) % parts.max(1);
            for some in [first..parts, 0..first] {
                this.run.as_mut().go_on(&some, cx, seen, &mut round);
            }
        } else if let Some(within) = this.plan.within {
            *this.total = round.now.checked_add(within);
            round.total = *this.total;
        }
        loop {
            if !round.is_over() {
                this.run.as_mut().begin(cx, seen, &mut round);
            }
            if round.is_stopped() || round.is_complete() {
                break;
            }
            let due = round.next_due();
            if !due.is_some_and(|due| is_due(this.timer.as_mut(), due, round.now, cx)) {
                return Poll::Pending;
            }
            round.expire(due.unwrap_or(round.now));
            this.run.as_mut().expire(&mut round);
        }
        if round.is_stopped() {
            // Whoever still runs is dropped now, each for itself: two panics of theirs at once would end the process.
            this.run.as_mut().expire(&mut round);
        }
        if let Some(required) = this.tally.take_required() {
            return Poll::Ready(Err(required));
        }
        match this.run.take() {
            Some(slots) => {
                let failed = this.tally.take_failed();
                failed.collect();
                Poll::Ready(Ok((slots, failed)))
            }
            // Somebody polls what has ended, and waits for ever.
            None => Poll::Pending,
        }
    }
}

/// Whether the time has come. Sees to it that this task is woken when it does.
///
/// The clock is asked before the timer: a timer says nothing to a task whose parts have used up its budget.
fn is_due(
    mut timer: Pin<&mut Option<Sleep>>,
    due: Instant,
    now: Instant,
    cx: &mut Context<'_>,
) -> bool {
    if due <= now {
        return true;
    }
    if timer.is_none() {
        timer.set(Some(sleep_until(due)));
    }
    timer.as_pin_mut().is_some_and(|mut sleep| {
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        sleep.poll(cx).is_ready()
    })
}

impl<R: fmt::Debug> fmt::Debug for Gathering<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering")
            .field("parts", &self.run)
            .finish_non_exhaustive()
    }
}
