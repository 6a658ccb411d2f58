//! Calls that are slow, and those that are out and may come to be.

use crate::core::sync::MutexGuard;

use crate::breaker::{
    counts::Stripe,
    hanging::Hanging,
    machine::Nanos,
    pass::{Course, KIND_BITS, Pass},
};

use super::{Engine, Guarded};

impl Engine {
    /// Whether the head of an answer that came now came late.
    #[inline]
    pub(in crate::breaker) fn is_slow(&self, pass: &Pass, now: Nanos) -> bool {
        let limit = self.knobs.slow();
        limit != 0 && now.saturating_sub(pass.at) >= limit
    }

    /// Counts a call that is admitted now where the gate takes times, unless somebody has to look for hanging calls
    /// first.
    #[inline]
    pub(in crate::breaker) fn admit_timed(&self, stripe: &Stripe, now: Nanos) -> Option<Course> {
        let step = self.steps.present(now)?;
        stripe.hanging()?.started(step);
        Some(Course::counted_in(step))
    }

    /// The head of the answer has come, or will not: the call no longer hangs.
    #[inline]
    pub(in crate::breaker) fn returned(&self, stripe: &Stripe, pass: &mut Pass) {
        if pass.course.is_counted() {
            if pass.generation() == self.gate() >> KIND_BITS {
                self.ended(stripe, pass.course);
            }
            pass.course = Course::OUT;
        }
    }

    /// The same for a call of the present generation.
    #[inline]
    pub(in crate::breaker) fn ended(&self, stripe: &Stripe, course: Course) {
        if let Some(step) = course.step()
            && let Some(hanging) = stripe.hanging()
        {
            hanging.ended(step, self.steps.last());
        }
    }

    /// How many calls are out for longer than the threshold.
    #[inline]
    pub(in crate::breaker) fn count_hanging(&self, now: Nanos) -> u32 {
        let step = self.knobs.step();
        if step == 0 {
            0
        } else {
            self.count_hanging_by(step, now)
        }
    }

    #[inline(never)]
    pub(super) fn count_hanging_by(&self, step: Nanos, now: Nanos) -> u32 {
        let (last, passed) = (self.steps.last(), self.steps.passed(now, step));
        let out: i64 = self
            .hanging()
            .map(|hanging| hanging.count(last, passed))
            .sum();
        u32::try_from(out.max(0)).unwrap_or(u32::MAX)
    }

    pub(super) fn hanging(&self) -> impl Iterator<Item = &Hanging> {
        self.stripes.iter().filter_map(|stripe| stripe.hanging())
    }

    /// Whether calls that hang reach the slow ratio. Asked by the first admission in each step of the threshold:
    /// within a step no further call comes to count as hanging.
    pub(super) fn hanging_trips(&self, guarded: &mut MutexGuard<'_, Guarded>, now: Nanos) -> bool {
        let step = self.knobs.step();
        if step == 0 || !self.steps.move_on(now, step, self.hanging()) {
            return false;
        }
        let hanging = self.count_hanging(now);
        // What hangs settles nothing, so perhaps nobody has moved the window on for long.
        self.move_window(guarded, now);
        hanging > 0 && self.knobs.slow_trips(self.held(), hanging)
    }
}
