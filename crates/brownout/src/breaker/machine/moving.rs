//! From one state to another: for how long a circuit opens, and what closing forgets.

use std::time::Duration;

use brownout_registry::CircuitState;

use super::{Cause, Machine, Nanos, State, Transition, nanos};
use crate::breaker::policy::{Policy, Window};

/// How long a circuit over a window of calls must stay closed for its back-off to start over.
const HEALTHY_SPELL: Duration = Duration::from_secs(10);

/// How long after it was due a circuit of a family still counts if nobody calls. Whoever wanted anything of its key would
/// have called long before: this is ten times the longest open time of the default policy.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);

impl Machine {
    /// Opens a closed circuit. `open_for` is what the dependency asked for, if it did.
    pub(in crate::breaker) fn trip(
        &mut self,
        now: Nanos,
        cause: Cause,
        open_for: Option<Duration>,
        policy: &Policy,
        draw: impl Fn() -> f64,
    ) -> Transition {
        let healthy_after = match policy.window {
            Window::Time(length) => length,
            Window::Calls(_) => HEALTHY_SPELL,
        };
        if now.saturating_sub(self.closed_since) >= nanos(healthy_after) {
            self.openings = 0;
        }
        self.opened_by_slowness = cause == Cause::SlowRatio;
        self.open(now, cause, open_for, policy, draw)
    }

    /// Closes a circuit that nobody has called for long after it would have tried again.
    pub(in crate::breaker) fn forget(&mut self, now: Nanos, policy: &Policy) -> Option<Transition> {
        let due = self.deadline()?;
        (forgotten(due) <= now).then(|| self.close(now, Cause::Forgotten, policy))
    }

    pub(super) fn open(
        &mut self,
        at: Nanos,
        cause: Cause,
        asked: Option<Duration>,
        policy: &Policy,
        draw: impl Fn() -> f64,
    ) -> Transition {
        let (from, was_until) = (self.state(), self.deadline());
        let length = match asked.filter(|asked| !asked.is_zero()) {
            // The dependency said when to come back: spread only to the later side.
            Some(asked) => asked
                .min(policy.open_for_at_most)
                .mul_f64(1.0 + policy.jitter.get() * draw()),
            None => policy
                .open_for
                .saturating_mul(1_u32.checked_shl(self.openings).unwrap_or(u32::MAX))
                .min(policy.open_for_at_most)
                .mul_f64(1.0 + policy.jitter.get() * (2.0 * draw() - 1.0)),
        };
        self.openings = self.openings.saturating_add(1);
        self.generation += 1;
        // Even with full jitter a circuit stays open for a moment.
        let until = at.saturating_add(nanos(length).max(1_000_000));
        self.state = State::Open { until };
        Transition {
            from,
            to: CircuitState::Open,
            cause,
            generation: self.generation,
            at,
            until,
            was_until,
        }
    }

    pub(super) fn close(&mut self, at: Nanos, cause: Cause, policy: &Policy) -> Transition {
        let (from, was_until) = (self.state(), self.deadline());
        self.generation += 1;
        self.closed_since = at;
        self.opened_by_slowness = false;
        self.state = State::Closed {
            ramping: policy.ramp.is_some(),
        };
        Transition {
            from,
            to: CircuitState::Closed,
            cause,
            generation: self.generation,
            at,
            until: at,
            was_until,
        }
    }
}

/// When a circuit that is open until then, and that nobody calls, no longer says anything of its dependency.
pub(in crate::breaker) fn forgotten(due: Nanos) -> Nanos {
    due.saturating_add(nanos(FORGOTTEN_AFTER))
}
