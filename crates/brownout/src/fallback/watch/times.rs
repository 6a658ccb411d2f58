use std::{fmt, task::Context, time::Duration};

use tokio::time::Instant;

use crate::fallback::timer::Timer;

/// The times of a call, if its chain keeps any as a whole.
pub trait Timing: fmt::Debug {
    /// Whether failures are timed.
    const MEASURES: bool;

    /// A call begins that may take so long.
    fn start(within: Option<Duration>) -> Self;

    /// Whether the chain's time is over. Sees to it that the task is woken when it is.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool;

    /// When the whole chain has to be done.
    fn total(&self) -> Option<Instant>;

    /// Somebody is asked.
    fn ask(&mut self, now: Instant);

    /// How long whoever was asked last has taken.
    fn elapsed(&self) -> Option<Duration>;

    /// Whether a tier is only exercised.
    fn is_exercise(&self) -> bool;

    /// From now on, or no longer.
    fn exercise(&mut self, exercises: bool);
}

/// No times.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untimed;

/// A deadline, how long everybody takes, and whether it is all for exercise.
#[derive(Debug)]
pub struct Timed {
    total: Timer,
    since: Instant,
    exercises: bool,
}

impl Timing for Untimed {
    const MEASURES: bool = false;

    #[inline]
    fn start(_: Option<Duration>) -> Self {
        Self
    }

    #[inline]
    fn is_late(&mut self, _: &mut Context<'_>) -> bool {
        false
    }

    #[inline]
    fn total(&self) -> Option<Instant> {
        None
    }

    #[inline]
    fn ask(&mut self, _: Instant) {}

    #[inline]
    fn elapsed(&self) -> Option<Duration> {
        None
    }

    #[inline]
    fn is_exercise(&self) -> bool {
        false
    }

    #[inline]
    fn exercise(&mut self, _: bool) {}
}

impl Timing for Timed {
    const MEASURES: bool = true;

    fn start(within: Option<Duration>) -> Self {
        let since = Instant::now();
        Self {
            total: Timer::new(within.and_then(|within| since.checked_add(within))),
            since,
            exercises: false,
        }
    }

    #[inline]
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.total.is_over(cx)
    }

    fn total(&self) -> Option<Instant> {
        self.total.due()
    }

    fn ask(&mut self, now: Instant) {
        self.since = now;
    }

    fn elapsed(&self) -> Option<Duration> {
        Some(Instant::now().saturating_duration_since(self.since))
    }

    #[inline]
    fn is_exercise(&self) -> bool {
        self.exercises
    }

    fn exercise(&mut self, exercises: bool) {
        self.exercises = exercises;
    }
}
