//! How the circuit moves: opened by an alarm, closed or opened again by probes, or by time that has passed.
//!
//! All of it under the lock.

use std::time::Duration;

use brownout_registry::{CircuitMode, CircuitState};

use crate::core::{
    Verdict,
    sync::{MutexGuard, Ordering::Relaxed, lock},
};

use crate::breaker::{
    hanging::Hanging,
    machine::{Cause, Nanos, Transition},
    pass::Pass,
};

use super::{Alarm, Effects, Engine, Guarded};

impl Engine {
    /// Answers an alarm: opens the circuit if, looked at closely, a threshold is reached.
    pub(in crate::breaker) fn trip(
        &self,
        alarm: Alarm,
        mode: Option<CircuitMode>,
        now: Nanos,
        draw: impl Fn() -> f64,
    ) -> Effects {
        let mut effects = Effects::default();
        let mut guarded = lock(&self.guarded);
        if guarded.machine.generation() == alarm.generation
            && guarded.machine.state() == CircuitState::Closed
        {
            let cause = match alarm.asked {
                Some(_) => Some(Cause::Asked),
                None => self.threshold_reached(&mut guarded, now),
            };
            if let Some(cause) = cause {
                self.open(
                    &mut guarded,
                    mode,
                    cause,
                    alarm.asked,
                    now,
                    draw,
                    &mut effects,
                );
                self.set_gate(&guarded);
            }
        }
        effects
    }

    /// A probe's answer has begun (`verdict` is `None`: its place is free, its verdict not yet known) or it was
    /// judged.
    pub(in crate::breaker) fn probe(
        &self,
        pass: &Pass,
        returned: bool,
        verdict: Option<(Verdict, bool)>,
        now: Nanos,
        draw: impl Fn() -> f64,
    ) -> Effects {
        let mut effects = Effects::default();
        let mut guarded = lock(&self.guarded);
        self.advance(&mut guarded, now, &draw, &mut effects);
        let Guarded {
            machine, policy, ..
        } = &mut *guarded;
        if returned {
            machine.probe_returned(pass.generation());
            effects.place_freed = true;
        }
        // One probe fails once. What the dependency asks for is heard all the same.
        let verdict = verdict.filter(|(verdict, slow)| {
            returned
                || *verdict != Verdict::Failure
                || !machine.head_failed(pass.generation(), *slow)
        });
        if let Some((verdict, slow)) = verdict {
            let transition =
                machine.probe_judged(pass.generation(), verdict, slow, now, policy, &draw);
            self.moved(&mut guarded, transition, now, &mut effects);
        }
        self.set_gate(&guarded);
        effects
    }

    /// Whether a circuit of a family that nobody uses may make room: if it is closed, or long overdue, and then closed
    /// by this.
    pub(in crate::breaker) fn retire(&self, now: Nanos) -> Option<Effects> {
        let mut effects = Effects::default();
        let mut guarded = lock(&self.guarded);
        if guarded.machine.state() != CircuitState::Closed {
            let Guarded {
                machine, policy, ..
            } = &mut *guarded;
            let transition = machine.forget(now, policy)?;
            self.moved(&mut guarded, Some(transition), now, &mut effects);
            self.set_gate(&guarded);
        }
        Some(effects)
    }

    pub(super) fn threshold_reached(
        &self,
        guarded: &mut MutexGuard<'_, Guarded>,
        now: Nanos,
    ) -> Option<Cause> {
        self.move_window(guarded, now);
        let hanging = self.count_hanging(now);
        self.knobs
            .trips(self.held(), hanging, self.run.load(Relaxed))
    }

    /// Opens a closed circuit, as far as its operator lets it.
    #[expect(
        clippy::too_many_arguments,
        reason = "what opening depends on, each once"
    )]
    pub(super) fn open(
        &self,
        guarded: &mut MutexGuard<'_, Guarded>,
        mode: Option<CircuitMode>,
        cause: Cause,
        asked: Option<Duration>,
        now: Nanos,
        draw: impl Fn() -> f64,
        effects: &mut Effects,
    ) {
        match mode {
            // Looked at again by the next outcome: the order may be over then.
            Some(CircuitMode::ForcedClosed) => self.window.set_watchful(true),
            Some(CircuitMode::ObserveOnly) => {
                guarded.machine.begin_anew();
                self.hanging().for_each(Hanging::clear);
                effects.would_open = Some((cause, guarded.machine.generation()));
                self.clear_window(guarded, now);
            }
            Some(CircuitMode::ForcedOpen) | None => {
                let Guarded {
                    machine, policy, ..
                } = &mut **guarded;
                let transition = machine.trip(now, cause, asked, policy, draw);
                effects.transitions.push(transition);
            }
        }
    }

    pub(super) fn advance(
        &self,
        guarded: &mut MutexGuard<'_, Guarded>,
        now: Nanos,
        draw: impl Fn() -> f64,
        effects: &mut Effects,
    ) {
        let Guarded {
            machine, policy, ..
        } = &mut **guarded;
        let transition = machine.advance(now, policy, draw);
        self.moved(guarded, transition, now, effects);
    }

    pub(super) fn moved(
        &self,
        guarded: &mut MutexGuard<'_, Guarded>,
        transition: Option<Transition>,
        now: Nanos,
        effects: &mut Effects,
    ) {
        if transition.is_some_and(|transition| transition.to == CircuitState::Closed) {
            self.hanging().for_each(Hanging::clear);
            self.clear_window(guarded, now);
        }
        effects.transitions.extend(transition);
    }
}
