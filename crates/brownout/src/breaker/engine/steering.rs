//! What is done to a circuit from outside: another policy, counts forgotten, an operator's mode.

use std::sync::Arc;

use crate::core::sync::{
    MutexGuard,
    Ordering::{Relaxed, Release},
    lock,
};

use crate::breaker::{
    call_window::CallWindow,
    counts::Stripe,
    machine::{Gate, Nanos, nanos},
    pass::{
        ALL_PROBES_OUT, CLOSED, CLOSED_METERED, CLOSED_OTHERWISE, CLOSED_TIMED, CLOSED_WINDOWED,
        CONSULT, KEYED_ALL_PROBES_OUT, KEYED_OPEN, KIND_BITS, OPEN,
    },
    policy::{Policy, Window},
    window::BUCKETS,
};

use super::{Effects, Engine, Guarded};

impl Engine {
    /// Empties the window and forgets runs and back-off, in any state.
    pub(in crate::breaker) fn clear_counts(&self, now: Nanos, draw: impl Fn() -> f64) -> Effects {
        let mut effects = Effects::default();
        let mut guarded = lock(&self.guarded);
        self.advance(&mut guarded, now, draw, &mut effects);
        self.clear_window(&mut guarded, now);
        guarded.machine.forget_openings();
        self.set_gate(&guarded);
        effects
    }

    /// Replaces the policy. What was due before is carried out by the old one.
    pub(in crate::breaker) fn reconfigure(
        &self,
        policy: impl FnOnce() -> Arc<Policy>,
        now: Nanos,
        draw: impl Fn() -> f64,
    ) -> Effects {
        let mut effects = Effects::default();
        let mut guarded = lock(&self.guarded);
        let policy = &policy();
        self.advance(&mut guarded, now, draw, &mut effects);
        let old = std::mem::replace(&mut guarded.policy, Arc::clone(policy));
        let (before, after) = (bucket_of(&old), bucket_of(policy));
        if before != 0 && after != 0 && before != after {
            guarded
                .baselines
                .resize(now, before, after, &self.window, &self.stripes);
        } else if before != after {
            guarded.baselines.clear(&self.window, &self.stripes);
            if let Some(epoch) = now.checked_div(after) {
                self.window.begin(epoch, after);
            }
        }
        self.apply(policy, now);
        // A ratio may be reached under the new policy by what is held already. Only now that the new numbers are to be
        // read: whoever judged by the old ones must not have the last word.
        self.window.begin_version(true);
        self.set_gate(&guarded);
        effects
    }

    /// Notes whether an operator imposes a mode. `is_set` is asked under the lock, so that of two changes that race
    /// the later one is seen; it must not lock anything itself.
    pub(in crate::breaker) fn set_imposed(&self, is_set: impl FnOnce() -> bool) {
        let guarded = lock(&self.guarded);
        self.imposed.store(u8::from(is_set()), Relaxed);
        self.set_gate(&guarded);
    }

    /// Gives calls the time of their admission from now on, whatever the policy asks for.
    pub(in crate::breaker) fn take_times(&self) {
        let guarded = lock(&self.guarded);
        self.metered.store(1, Relaxed);
        self.set_gate(&guarded);
    }

    pub(super) fn move_window(&self, guarded: &mut MutexGuard<'_, Guarded>, now: Nanos) {
        let bucket = self.knobs.bucket();
        if bucket != 0 {
            guarded
                .baselines
                .rotate(now, bucket, &self.window, &self.stripes);
        }
    }

    pub(super) fn clear_window(&self, guarded: &mut MutexGuard<'_, Guarded>, now: Nanos) {
        self.move_window(guarded, now);
        guarded.baselines.clear(&self.window, &self.stripes);
        if let Window::Calls(calls) = guarded.policy.window {
            self.calls
                .store(Some(Arc::new(CallWindow::new(calls.get()))));
        }
        self.run.store(0, Relaxed);
    }

    pub(super) fn apply(&self, policy: &Policy, now: Nanos) {
        let step = self.knobs.step();
        if policy.slow.is_some() {
            self.stripes.iter().for_each(Stripe::count_hanging);
        }
        let calls = match policy.window {
            Window::Calls(calls) if policy.needs_window() => {
                let old = self.calls.load_full();
                match old {
                    Some(old) if old.calls() == calls.get() as usize => Some(old),
                    Some(old) => Some(Arc::new(old.resized(calls.get()))),
                    None => Some(Arc::new(CallWindow::new(calls.get()))),
                }
            }
            _ => None,
        };
        self.calls.store(calls);
        self.knobs.set(policy, bucket_of(policy));
        if self.knobs.step() != step {
            self.steps.resize(now, self.knobs.step());
        }
    }

    pub(super) fn set_gate(&self, guarded: &MutexGuard<'_, Guarded>) {
        let kind = match guarded.machine.gate(&guarded.policy) {
            _ if self.imposed.load(Relaxed) != 0 => CONSULT,
            Gate::Closed if self.keyed || self.knobs.counts_calls() => CLOSED_OTHERWISE,
            Gate::Closed if self.knobs.slow() != 0 => CLOSED_TIMED,
            Gate::Closed if self.is_metered() => CLOSED_METERED,
            Gate::Closed if self.knobs.timed() => CLOSED_OTHERWISE,
            Gate::Closed if self.knobs.windowed() => CLOSED_WINDOWED,
            Gate::Closed => CLOSED,
            Gate::Consult => CONSULT,
            Gate::Open { until } => {
                self.until.store(until, Release);
                if self.keyed { KEYED_OPEN } else { OPEN }
            }
            Gate::AllProbesOut { until } => {
                self.until.store(until, Release);
                if self.keyed {
                    KEYED_ALL_PROBES_OUT
                } else {
                    ALL_PROBES_OUT
                }
            }
        };
        self.gate
            .store(guarded.machine.generation() << KIND_BITS | kind, Release);
    }
}

/// The length of a sub-bucket in nanoseconds; 0 where no window of time is kept.
pub(super) fn bucket_of(policy: &Policy) -> Nanos {
    match policy.window {
        Window::Time(length) if policy.needs_window() => (nanos(length) / BUCKETS as u64).max(1),
        _ => 0,
    }
}
