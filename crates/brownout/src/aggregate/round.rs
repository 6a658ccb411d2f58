use std::time::Duration;

use tokio::time::Instant;

use crate::core::{Cause, span};

use super::{
    failed::{FailedPart, FailedParts, RequiredPart},
    outcome::Ending,
    plan::Plan,
};

/// One poll of a call, as its parts see it.
///
/// It passes through the parts several times: for those that run to go on, for others to begin where there are places for
/// them, and for those to end whose time is over.
#[derive(Debug)]
pub struct Round<'a> {
    plan: &'a Plan,
    tally: &'a mut Tally,
    /// When the whole has to be done.
    pub(super) total: Option<Instant>,
    pub(super) now: Instant,
    next_due: Option<Instant>,
    /// How long the part ran that ended last in this poll, and since when.
    elapsed: Option<(Instant, Duration)>,
}

/// Where the parts of a call stand.
#[derive(Debug)]
pub(super) struct Tally {
    /// Places in which a part can begin. None any more, once a required part has failed.
    free: usize,
    /// Parts that have not ended.
    open: usize,
    /// Boxed, because it is rare and every call would have to be moved with room for it.
    trouble: Option<Box<Trouble>>,
}

/// What is wrong in a call.
#[derive(Debug, Default)]
struct Trouble {
    failed: Vec<(usize, FailedPart)>,
    required: Option<RequiredPart>,
}

impl<'a> Round<'a> {
    pub(super) fn new(plan: &'a Plan, tally: &'a mut Tally) -> Self {
        Self {
            plan,
            tally,
            total: None,
            now: Instant::now(),
            next_due: None,
            elapsed: None,
        }
    }

    /// Whether a required part has failed, so that nothing more is to be done.
    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        let trouble = self.tally.trouble.as_ref();
        trouble.is_some_and(|trouble| trouble.required.is_some())
    }

    /// Whether all parts have ended.
    pub(super) fn is_complete(&self) -> bool {
        self.tally.open == 0
    }

    /// Whether the deadline of the whole call has passed.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.total.is_some_and(|total| total <= self.now)
    }

    /// When the next deadline is, of those parts that this walk saw running, or of the whole call.
    pub(super) fn next_due(&self) -> Option<Instant> {
        earlier(self.next_due, self.total)
    }

    /// Goes on at a moment at which somebody's time is over.
    pub(super) fn expire(&mut self, due: Instant) {
        self.now = self.now.max(due);
        self.next_due = None;
    }

    /// Begins a part, if there is a place for it: now.
    #[inline]
    pub(super) fn begin(&mut self) -> Option<Instant> {
        self.tally.free = self.tally.free.checked_sub(1)?;
        Some(self.now)
    }

    /// A part that began then runs on.
    pub(super) fn runs_on(&mut self, index: usize, begun: Instant) {
        self.next_due = earlier(self.next_due, self.due(index, begun));
    }

    /// Whether the time of a part is over that began then.
    pub(super) fn is_due(&self, index: usize, begun: Instant) -> bool {
        self.is_over() || self.due(index, begun).is_some_and(|due| due <= self.now)
    }

    fn due(&self, index: usize, begun: Instant) -> Option<Instant> {
        begun.checked_add(self.plan.parts.get(index)?.timeout?)
    }

    /// A part has ended that began then, or never.
    #[allow(clippy::inline_always, reason = "see `PartRun::begin`")]
    #[inline(always)]
    pub(super) fn ended<T>(
        &mut self,
        index: usize,
        begun: Option<Instant>,
        value: Option<T>,
        cause: Option<Box<Cause>>,
    ) -> Ending<T> {
        self.tally.open -= 1;
        let elapsed = match begun {
            Some(begun) => {
                self.tally.free += 1;
                self.elapsed(begun)
            }
            None => Duration::ZERO,
        };
        if let Some(cause) = &cause {
            self.failed(index, cause, elapsed, value.is_some());
        } else if self.plan.has_covering || self.plan.named.is_some() {
            self.answered(index);
        }
        Ending {
            value,
            cause,
            elapsed,
        }
    }

    /// How long a part ran that ends in this poll, and began then. Parts that began together end together, more often
    /// than not.
    #[inline]
    fn elapsed(&mut self, begun: Instant) -> Duration {
        match self.elapsed {
            Some((since, elapsed)) if since == begun => elapsed,
            _ => {
                let elapsed = self.end_time().saturating_duration_since(begun);
                self.elapsed = Some((begun, elapsed));
                elapsed
            }
        }
    }

    /// The time at which whatever ends in this poll has ended. The clock costs more than all else that is done for a
    /// part, so it is read once.
    #[inline]
    fn end_time(&mut self) -> Instant {
        if self.elapsed.is_none() {
            self.now = self.now.max(Instant::now());
        }
        self.now
    }

    fn answered(&self, index: usize) {
        let Some(about) = self.plan.parts.get(index) else {
            return;
        };
        if let Some(covering) = &about.covering {
            covering.answered(self.now);
        }
        if let Some(counts) = &about.counts {
            counts.answered();
        }
    }

    #[cold]
    fn failed(&mut self, index: usize, cause: &Cause, elapsed: Duration, stood_in: bool) {
        let Some(about) = self.plan.parts.get(index) else {
            return;
        };
        let failed = FailedPart {
            name: about.name.clone(),
            cause: cause.clone(),
            elapsed,
            stood_in,
            covered: about.covered(),
        };
        if let Some(counts) = &about.counts {
            counts.failed(failed.stood_in);
        }
        if let Some(covering) = &about.covering {
            covering.missing(&failed.cause, self.now);
        }
        span::degraded(failed.name());
        let trouble = self.tally.trouble.get_or_insert_default();
        if about.required && !failed.stood_in {
            let missing = || RequiredPart::new(failed);
            trouble.required.get_or_insert_with(missing);
            self.tally.free = 0;
        } else {
            trouble.failed.push((index, failed));
        }
    }
}

impl Tally {
    pub(super) const fn of(plan: &Plan) -> Self {
        Self {
            free: plan.concurrency,
            open: plan.parts.len(),
            trouble: None,
        }
    }

    #[inline]
    pub(super) fn take_required(&mut self) -> Option<RequiredPart> {
        self.trouble.as_mut()?.required.take()
    }

    /// The parts that failed, in the order in which they were declared.
    #[inline]
    pub(super) fn take_failed(&mut self) -> FailedParts {
        match self.trouble.take() {
            Some(mut trouble) => {
                trouble.failed.sort_by_key(|(index, _)| *index);
                FailedParts::new(trouble.failed.into_iter().map(|(_, part)| part).collect())
            }
            None => FailedParts::default(),
        }
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
