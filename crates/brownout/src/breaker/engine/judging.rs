//! What an outcome counts for, and whether the sums call for a closer look.
//!
//! Without the lock: what is found here is an [`Alarm`], which is answered under it.

use crate::core::{
    Verdict,
    sync::{
        Ordering::{Acquire, Relaxed},
        try_lock,
    },
};

use crate::breaker::{
    counts::{Padded, Stripe, Sums},
    credit::Seen,
    knobs::Knobs,
    machine::{Cause, Nanos},
    pass::{KIND_BITS, Pass},
};

use super::{Alarm, Engine};

impl Engine {
    /// Whether judging a call needs the time: else any number does.
    #[inline]
    pub(in crate::breaker) fn judges_by_time(&self) -> bool {
        self.knobs.bucket() != 0 || self.knobs.slow() != 0
    }

    /// Whether a success in a window of time only has to be counted.
    #[inline]
    pub(in crate::breaker) fn only_counts(&self, now: Nanos) -> bool {
        self.window.only_counts_successes(now)
    }

    /// The same where there may be no window.
    #[inline]
    pub(in crate::breaker) fn only_counts_metered(&self, now: Nanos) -> bool {
        !self.knobs.windowed() || self.window.only_counts_successes(now)
    }

    /// The same where the policy asks for times. `now` is read after the call.
    #[inline]
    pub(in crate::breaker) fn only_counts_timed(&self, at: Nanos, now: Nanos) -> bool {
        now.saturating_sub(at) < self.knobs.slow() && self.window.only_counts_successes(now)
    }

    /// Counts the failure of a call that this gate admitted, where there is a window of time and slowness does not
    /// count: as [`judged`](Self::judged) does, without what is not needed then. `Err` asks for that.
    #[inline]
    pub(in crate::breaker) fn failed_plainly(
        &self,
        stripe: &Padded,
        gate: u64,
        now: Nanos,
    ) -> Result<Option<Alarm>, ()> {
        if gate != self.gate() || self.window.is_over(now) {
            return Err(());
        }
        stripe.failures.fetch_add(1, Relaxed);
        let run = self.count_in_run();
        if self.window.credit.spend(&stripe.purse) {
            return Ok(None);
        }
        self.window.mark_bad();
        let seen = self.window.credit.see();
        let held = self.window.held(&self.stripes, false);
        let alarm = Alarm {
            generation: gate >> KIND_BITS,
            asked: None,
        };
        let cause = self.knobs.failures_trip(held, run);
        let alarming = self.looked_at(seen, held, cause);
        if !alarming && let Some(missing) = self.knobs.missing_failures(held) {
            self.window
                .credit
                .grant(seen, &stripe.purse, missing, self.stripes.len());
        }
        Ok(alarming.then_some(alarm))
    }

    /// Counts a failure in the run, as far as runs are counted: far enough for every policy, and not so far that an
    /// endless one keeps all threads writing to the same line.
    #[inline]
    pub(super) fn count_in_run(&self) -> u32 {
        let run = self.run.load(Relaxed);
        if run < self.knobs.counted_run() {
            self.run.fetch_add(1, Relaxed) + 1
        } else {
            run
        }
    }

    #[allow(clippy::inline_always, reason = "see `CircuitBreaker::poll_ready`")]
    #[inline(always)]
    pub(in crate::breaker) fn count_success(&self, stripe: &Stripe) {
        stripe.successes.fetch_add(1, Relaxed);
        if self.run.load(Relaxed) != 0 {
            self.run.store(0, Relaxed);
        }
    }

    /// Counts the verdict of an ordinary call. An alarm asks for [`trip`](Self::trip).
    #[inline]
    pub(in crate::breaker) fn judged(
        &self,
        stripe: &Stripe,
        pass: &Pass,
        verdict: Verdict,
        slow: bool,
        now: Nanos,
    ) -> Option<Alarm> {
        let generation = self.gate.load(Acquire) >> KIND_BITS;
        if verdict == Verdict::Neutral || pass.ordinary() != Some(generation) {
            stripe.count_apart(verdict);
            return None;
        }
        let bucket = self.knobs.bucket();
        if bucket != 0 && self.window.is_over(now) {
            self.rotate(now);
        }
        if slow {
            stripe.slow.fetch_add(1, Relaxed);
        }
        let bad = verdict != Verdict::Success;
        if bad {
            stripe.failures.fetch_add(1, Relaxed);
            self.count_in_run();
            // What others were granted counted on fewer failures that somebody looks at.
            self.window.credit.void();
        } else {
            self.count_success(stripe);
        }
        if bucket != 0 {
            if bad || slow {
                self.window.mark_bad();
            } else if !self.window.is_watchful() {
                return None;
            }
        } else if self.knobs.counts_calls() {
            if let Some(calls) = &*self.calls.load() {
                calls.push(bad, slow);
            }
        } else if !bad {
            return None;
        }
        let asked = match verdict {
            Verdict::Trip { open_for } => Some(open_for),
            _ => None,
        };
        if asked.is_none() && !self.is_alarming(now) {
            return None;
        }
        Some(Alarm { generation, asked })
    }

    /// Whether a call that was dropped before it was judged counts as a failure.
    pub(in crate::breaker) fn abandoned_fails(
        &self,
        pass: &Pass,
        clock: impl Fn() -> Nanos,
    ) -> bool {
        match self.knobs.abandoned() {
            Knobs::ABANDONED_NEUTRAL => false,
            Knobs::ABANDONED_FAILS => true,
            limit => pass.course.is_out() && clock().saturating_sub(pass.at) >= limit,
        }
    }

    pub(super) fn held(&self) -> Sums {
        if self.knobs.counts_calls() {
            return self
                .calls
                .load()
                .as_ref()
                .map_or_else(Sums::default, |calls| calls.held());
        }
        self.window.held(&self.stripes, self.knobs.slow() != 0)
    }

    /// Looks at the sums without the lock. What is found here is asked again under it.
    #[inline]
    pub(super) fn is_alarming(&self, now: Nanos) -> bool {
        let run = self.run.load(Relaxed);
        if !self.knobs.windowed() {
            return self.knobs.run_trips(run).is_some();
        }
        let seen = self.window.credit.see();
        let held = self.held();
        let cause = self.knobs.trips(held, self.count_hanging(now), run);
        self.looked_at(seen, held, cause)
    }

    /// Notes how closely successes have to be looked at from now on; says whether a threshold is reached.
    #[inline]
    pub(super) fn looked_at(&self, seen: Seen, held: Sums, cause: Option<Cause>) -> bool {
        if cause.is_some() {
            // Reached, and perhaps not acted on while an operator forbids it: the next outcome looks again.
            self.window.set_watchful(true);
        } else if held.calls() >= self.knobs.minimum() {
            self.window.calm_down(seen);
        }
        cause.is_some()
    }

    #[cold]
    pub(super) fn rotate(&self, now: Nanos) {
        // Whoever holds the lock is rotating, or about to change state; either way nobody has to wait for it.
        if let Some(mut guarded) = try_lock(&self.guarded) {
            // Its length is read under the lock: an older one would take the window to a sub-bucket that is not.
            self.move_window(&mut guarded, now);
        }
    }
}
