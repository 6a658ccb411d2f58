//! What the model counts while closed, and when that opens the circuit.

use brownout::{core::Verdict, registry::CircuitMode};

use super::{Call, Held, Judged, Model, Role, State};
use crate::rules::{Nanos, Window};

impl Model {
    pub(super) fn count(
        &mut self,
        now: Nanos,
        verdict: Option<Verdict>,
        slow: bool,
        mode: Option<CircuitMode>,
        generation_seen: impl FnOnce() -> u64,
    ) {
        let failure = match verdict {
            None | Some(Verdict::Neutral) => return,
            Some(verdict) => verdict.is_failure(),
        };
        self.totals.slow += u64::from(slow);
        self.judged.push(Judged {
            at: now,
            failure,
            slow,
        });
        if let Some(Verdict::Trip { open_for }) = verdict {
            self.trip(now, Some(open_for), false, mode);
            return;
        }
        // A good call need not be what makes the circuit look for those that hang.
        let may_wait = !failure && !slow && generation_seen() == self.generation;
        let hanging = if may_wait { 0 } else { self.hanging(now) };
        self.judge(now, hanging, mode);
    }

    /// Whether what was counted opens the circuit.
    fn judge(&mut self, now: Nanos, hanging: u32, mode: Option<CircuitMode>) {
        let held = self.held(now);
        let full = self.rules.has_window() && held.calls >= self.rules.minimum_calls;
        let by_ratio = full
            && self
                .rules
                .failure_ratio
                .is_some_and(|ratio| reaches(held.failures, held.calls, ratio));
        let by_run = !full
            && self
                .rules
                .consecutive_failures
                .is_some_and(|limit| self.run() >= limit);
        // Where several thresholds are reached at once, shares come before runs.
        let by_slowness = !by_ratio && self.is_slow_overall(now, hanging);
        if by_ratio || by_slowness || by_run {
            self.trip(now, None, by_slowness, mode);
        }
    }

    /// The first call in each eighth of the slow threshold that asks for leave looks for calls that hang.
    pub(super) fn look_for_hanging(&mut self, now: Nanos, mode: Option<CircuitMode>) {
        let Some(step) = self.rules.step() else {
            return;
        };
        if !matches!(self.state, State::Closed { .. }) {
            return;
        }
        let looked = self.looked_for_hanging.replace(now);
        let hanging = self.hanging(now);
        if looked.is_none_or(|looked| looked / step < now / step)
            && hanging > 0
            && self.is_slow_overall(now, hanging)
        {
            self.trip(now, None, true, mode);
        }
    }

    fn is_slow_overall(&self, now: Nanos, hanging: u32) -> bool {
        let Some(slow) = self.rules.slow else {
            return false;
        };
        let held = self.held(now);
        let calls = held.calls + hanging;
        calls >= self.rules.minimum_calls && reaches(held.slow + hanging, calls, slow.ratio)
    }

    /// How many calls are out longer than the slow threshold.
    fn hanging(&self, now: Nanos) -> u32 {
        let Some(step) = self.rules.step() else {
            return 0;
        };
        let hangs = |call: &&Call| {
            call.role == Role::Counted
                && call.generation == self.generation
                && call.slow_head.is_none()
                && !call.done
                && now / step >= call.admitted / step + 9
        };
        small(self.calls.iter().filter(hangs).count())
    }

    pub(super) fn forget(&mut self) {
        self.forgotten = self.judged.len();
    }

    fn remembered(&self) -> impl DoubleEndedIterator<Item = &Judged> {
        self.judged[self.forgotten..].iter()
    }

    pub(crate) fn held(&self, now: Nanos) -> Held {
        if !self.rules.has_window() {
            return Held::default();
        }
        let seen: Vec<&Judged> = match self.rules.window {
            Window::Calls(calls) => self.remembered().rev().take(calls as usize).collect(),
            Window::Time(length) => {
                let bucket = |time: Nanos| time / (length / 10);
                self.remembered()
                    .filter(|judged| bucket(judged.at) + 9 >= bucket(now))
                    .collect()
            }
        };
        Held {
            calls: small(seen.len()),
            failures: small(seen.iter().filter(|judged| judged.failure).count()),
            slow: small(seen.iter().filter(|judged| judged.slow).count()),
        }
    }

    /// Failures since the last success.
    pub(crate) fn run(&self) -> u32 {
        small(
            self.remembered()
                .rev()
                .take_while(|judged| judged.failure)
                .count(),
        )
    }
}

/// Whether `part` of `whole` is at least so many thousandths.
fn reaches(part: u32, whole: u32, thousandths: u32) -> bool {
    whole > 0 && u64::from(part) * 1000 >= u64::from(whole) * u64::from(thousandths)
}

pub(super) fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
