//! How calls are let in: without the lock while the gate says it all, under it otherwise.

use std::time::Duration;

use brownout_registry::{CircuitMode, CircuitState};

use crate::core::{
    RejectReason,
    sync::{
        Ordering::{Acquire, Relaxed},
        lock,
    },
};

use crate::breaker::{
    counts::Stripe,
    machine::{Cause, Gate, Leave, Nanos, Refusal},
    pass::{
        ALL_PROBES_OUT, APART, CLOSED, CLOSED_METERED, CLOSED_OTHERWISE, CLOSED_TIMED,
        CLOSED_WINDOWED, Course, KEYED_ALL_PROBES_OUT, KEYED_OPEN, KIND, KIND_BITS, OPEN, PROBE,
        Pass, UNKNOWN, refused_by,
    },
};

use super::{Effects, Engine, Guarded};

impl Engine {
    /// Why a call would be refused now, if no operator has a say. Decides a service's readiness; grants nothing.
    pub(in crate::breaker) fn refuses(&self, clock: impl Fn() -> Nanos) -> Option<RejectReason> {
        let guarded = lock(&self.guarded);
        let (until, reason) = match guarded.machine.gate(&guarded.policy) {
            Gate::Open { until } => (until, RejectReason::CircuitOpen),
            Gate::AllProbesOut { until } => (until, RejectReason::CircuitHalfOpen),
            Gate::Closed | Gate::Consult => return None,
        };
        (clock() < until).then_some(reason)
    }

    /// For how long a call would be refused, as far as is known.
    pub(in crate::breaker) fn refuses_for(&self, now: Nanos) -> Option<Duration> {
        self.refuses(|| now)?;
        Some(Duration::from_nanos(
            self.until.load(Acquire).saturating_sub(now),
        ))
    }

    /// Until when a gate that refuses does so.
    #[inline]
    pub(in crate::breaker) fn refuses_until(&self) -> Nanos {
        self.until.load(Acquire)
    }

    /// The refusal of a call that was promised one, even if the circuit has moved on since.
    #[inline]
    pub(in crate::breaker) fn pass_by(&self, stripe: &Stripe, reason: RejectReason) -> Pass {
        stripe.rejected.fetch_add(1, Relaxed);
        Pass::refused(Refusal {
            reason,
            until: Some(self.refuses_until()),
        })
    }

    /// Decides about a call without the lock; `None` asks for [`admit`](Self::admit).
    #[inline]
    pub(in crate::breaker) fn admit_fast(
        &self,
        stripe: &Stripe,
        clock: impl Fn() -> Nanos,
    ) -> Option<Pass> {
        let gate = self.gate.load(Acquire);
        match gate & KIND {
            CLOSED | CLOSED_WINDOWED => Some(Pass::new(gate, UNKNOWN)),
            CLOSED_METERED => Some(Pass::new(gate, clock())),
            CLOSED_OTHERWISE if !self.takes_times() => Some(Pass::new(gate, UNKNOWN)),
            CLOSED_TIMED | CLOSED_OTHERWISE => {
                let now = clock();
                let mut pass = Pass::new(gate, now);
                if self.knobs.slow() != 0 {
                    pass.course = self.admit_timed(stripe, now)?;
                }
                Some(pass)
            }
            OPEN | ALL_PROBES_OUT | KEYED_OPEN | KEYED_ALL_PROBES_OUT => {
                let until = self.until.load(Acquire);
                if clock() >= until {
                    return None;
                }
                stripe.rejected.fetch_add(1, Relaxed);
                Some(Pass::refused(Refusal {
                    reason: refused_by(gate),
                    until: Some(until),
                }))
            }
            _ => None,
        }
    }

    /// Decides about a call that the fast path could not.
    pub(in crate::breaker) fn admit(
        &self,
        stripe: &Stripe,
        mode: Option<CircuitMode>,
        now: Nanos,
        draw: impl Fn() -> f64,
    ) -> (Pass, Effects) {
        let mut effects = Effects::default();
        let mut guarded = lock(&self.guarded);
        self.advance(&mut guarded, now, &draw, &mut effects);
        if guarded.machine.state() == CircuitState::Closed && self.hanging_trips(&mut guarded, now)
        {
            self.open(
                &mut guarded,
                mode,
                Cause::SlowRatio,
                None,
                now,
                &draw,
                &mut effects,
            );
        }
        let Guarded {
            machine, policy, ..
        } = &mut *guarded;
        let leave = match mode {
            Some(CircuitMode::ForcedOpen) => Err(Refusal {
                reason: RejectReason::CircuitForcedOpen,
                until: None,
            }),
            Some(CircuitMode::ForcedClosed | CircuitMode::ObserveOnly) => {
                let generation = machine.generation();
                Ok(match machine.state() {
                    CircuitState::Closed => (CLOSED_OTHERWISE, generation),
                    CircuitState::Open | CircuitState::HalfOpen => (APART, generation),
                })
            }
            None => {
                let (leave, transition) = machine.admit(now, policy, &draw);
                effects.transitions.extend(transition);
                leave.map(|leave| match leave {
                    Leave::Ordinary { generation } => (CLOSED_OTHERWISE, generation),
                    Leave::Probe { generation } => (PROBE, generation),
                })
            }
        };
        self.set_gate(&guarded);
        let pass = match leave {
            Ok((kind, generation)) => {
                // As on the fast path: a call of a policy that asks for no times has none, whatever comes later.
                let untimed = kind == CLOSED_OTHERWISE && !self.takes_times();
                let at = if untimed { UNKNOWN } else { now };
                let mut pass = Pass::new(generation << KIND_BITS | kind, at);
                // Under the lock: an observed circuit may begin a generation anew, without a time between two.
                if kind == CLOSED_OTHERWISE && self.knobs.slow() != 0 {
                    pass.course = self.admit_timed(stripe, now).unwrap_or(Course::OUT);
                }
                pass
            }
            Err(refusal) => Pass::refused(refusal),
        };
        drop(guarded);
        if leave.is_err() {
            stripe.rejected.fetch_add(1, Relaxed);
        }
        (pass, effects)
    }

    /// A pass to count a failure with that came before a call could be made. Takes no probe's place that is taken, and
    /// no draw of a ramp decides: the failure has happened.
    pub(in crate::breaker) fn admit_failure(
        &self,
        mode: Option<CircuitMode>,
        now: Nanos,
        draw: impl Fn() -> f64,
    ) -> (Option<Pass>, Effects) {
        let mut effects = Effects::default();
        let mut guarded = lock(&self.guarded);
        self.advance(&mut guarded, now, &draw, &mut effects);
        let Guarded {
            machine, policy, ..
        } = &mut *guarded;
        // Of a call that was not made, nobody knows how long it took.
        let pass = |kind, generation| Pass::new(generation << KIND_BITS | kind, UNKNOWN);
        let pass = match (machine.state(), mode) {
            (CircuitState::Closed, _) => Some(pass(CLOSED_OTHERWISE, machine.generation())),
            (_, Some(_)) => Some(pass(APART, machine.generation())),
            (CircuitState::HalfOpen, None) => {
                let mut pass = pass(PROBE, machine.generation());
                pass.course = Course::HEADED;
                Some(pass)
            }
            (CircuitState::Open, None) => {
                let (leave, transition) = machine.admit(now, policy, &draw);
                effects.transitions.extend(transition);
                leave.ok().map(|_| pass(PROBE, machine.generation()))
            }
        };
        self.set_gate(&guarded);
        (pass, effects)
    }
}
