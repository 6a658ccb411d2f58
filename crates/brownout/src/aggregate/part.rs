use std::{
    fmt, mem,
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project::pin_project;
use tokio::time::Instant;

use crate::core::{Cause, caught};

use super::{
    ask::StandIn,
    outcome::Ending,
    round::Round,
    source::{Fitted, PollFn, Stage},
};

/// A part in one call.
#[pin_project]
pub struct PartRun<S, A, E, O, Fut, V, Seen> {
    index: usize,
    /// Set when it has begun.
    begun: Option<Instant>,
    ended: bool,
    /// Set when it has ended, until it is taken.
    ending: Option<Ending<V>>,
    #[pin]
    stage: Stage<S, Fut>,
    ask: A,
    explain: E,
    or: O,
    poll: PollFn<S, A, E, Fut, V, Seen>,
}

impl<S, A, E, O, Fut, V, Seen> PartRun<S, A, E, O, Fut, V, Seen> {
    #[allow(clippy::inline_always, reason = "see `begin`")]
    #[inline(always)]
    pub(super) fn new(index: usize, fitted: Fitted<S, A, E, O, Fut, V, Seen>) -> Self {
        let given = fitted.given;
        Self {
            index,
            begun: None,
            ended: false,
            ending: None,
            stage: Stage::Waiting(given.service),
            ask: given.ask,
            explain: given.explain,
            or: given.or,
            poll: fitted.poll,
        }
    }

    /// What became of it, once it has ended.
    pub(super) fn take(self: Pin<&mut Self>) -> Option<Ending<V>> {
        self.project().ending.take()
    }

    /// Begins, if it has not yet and there is a place for it.
    #[allow(clippy::inline_always, reason = "measured: on the way of every call")]
    #[inline(always)]
    pub(super) fn begin(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        seen: &Seen,
        round: &mut Round<'_>,
    ) where
        O: StandIn<V>,
    {
        if self.begun.is_none()
            && !self.ended
            && let Some(begun) = round.begin()
        {
            *self.as_mut().project().begun = Some(begun);
            self.poll(cx, seen, round, begun);
        }
    }

    /// Goes on, if it runs and is one of these parts.
    pub(super) fn go_on(
        self: Pin<&mut Self>,
        parts: &Range<usize>,
        cx: &mut Context<'_>,
        seen: &Seen,
        round: &mut Round<'_>,
    ) where
        O: StandIn<V>,
    {
        if let Some(begun) = self.begun
            && !self.ended
            && !round.is_stopped()
            && parts.contains(&self.index)
        {
            self.poll(cx, seen, round, begun);
        }
    }

    /// Ends, if its time is over, or that of the whole. Is dropped, where a required part has failed.
    pub(super) fn expire(self: Pin<&mut Self>, round: &mut Round<'_>)
    where
        O: StandIn<V>,
    {
        if self.ended {
            return;
        }
        if round.is_stopped() {
            self.discard();
            return;
        }
        match self.begun {
            Some(begun) if round.is_due(self.index, begun) => {
                let cause = match self.stage {
                    Stage::Waiting(_) => Cause::timed_out("not ready in time"),
                    _ => Cause::no_answer_in_time(),
                };
                self.fail(Box::new(cause), round);
            }
            Some(begun) => round.runs_on(self.index, begun),
            None if round.is_over() => self.fail(Box::new(Cause::skipped()), round),
            None => {}
        }
    }

    #[allow(clippy::inline_always, reason = "see `begin`")]
    #[inline(always)]
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        seen: &Seen,
        round: &mut Round<'_>,
        begun: Instant,
    ) where
        O: StandIn<V>,
    {
        let this = self.as_mut().project();
        match caught(|| (this.poll)(this.stage, this.ask, this.explain, seen, cx)) {
            Some(Poll::Pending) => round.runs_on(self.index, begun),
            Some(Poll::Ready(Ok(value))) => self.end(Some(value), None, round),
            Some(Poll::Ready(Err(cause))) => self.fail(cause, round),
            None => self.fail(Box::new(Cause::panicked("panicked")), round),
        }
    }

    #[cold]
    fn fail(mut self: Pin<&mut Self>, cause: Box<Cause>, round: &mut Round<'_>)
    where
        O: StandIn<V>,
    {
        let value = caught(|| self.as_mut().project().or.stand_in(&cause)).flatten();
        self.end(value, Some(cause), round);
    }

    #[allow(clippy::inline_always, reason = "see `begin`")]
    #[inline(always)]
    fn end(
        self: Pin<&mut Self>,
        value: Option<V>,
        cause: Option<Box<Cause>>,
        round: &mut Round<'_>,
    ) {
        let mut this = self;
        // Before others begin, so that what it held is free for them.
        this.as_mut().discard();
        let this = this.project();
        *this.ending = Some(round.ended(*this.index, *this.begun, value, cause));
    }

    /// Drops whoever is asked. A panic in there changes nothing any more.
    #[allow(clippy::inline_always, reason = "see `begin`")]
    #[inline(always)]
    fn discard(self: Pin<&mut Self>) {
        let mut this = self.project();
        *this.ended = true;
        if mem::needs_drop::<Stage<S, Fut>>() {
            caught(|| this.stage.set(Stage::Ended));
        }
    }
}

impl<S, A, E, O, Fut, V, Seen> fmt::Debug for PartRun<S, A, E, O, Fut, V, Seen> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (&self.stage, self.begun) {
            _ if self.ended => "ended",
            (_, None) => "not begun",
            (Stage::Waiting(_), _) => "waiting for its service",
            (Stage::Called(_) | Stage::Ended, _) => "running",
        })
    }
}
