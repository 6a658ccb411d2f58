//! The slow side of a circuit: a pure state machine over `now`, without clocks, locks or I/O.
//!
//! While closed it only knows that it is closed; what trips it is counted elsewhere (`engine`). Time passes lazily:
//! [`Machine::advance`] catches up with every deadline that has passed, at the time of that deadline, so that a
//! circuit nobody looked at for an hour is where a prompt one would be.
//!
//! Here is who gets leave, and what probes decide; `moving` has how long a circuit opens and what closing forgets.

mod moving;
mod words;

use brownout_registry::CircuitState;

use super::policy::Policy;
use crate::core::{RejectReason, Verdict};

pub(super) use self::{
    moving::forgotten,
    words::{Cause, Gate, Leave, Nanos, Refusal, Transition, nanos},
};

#[derive(Clone, Debug)]
pub(super) struct Machine {
    state: State,
    generation: u64,
    /// How often the circuit has opened since it was last healthy for a whole window.
    openings: u32,
    closed_since: Nanos,
    /// Whether slowness opened the circuit: then a slow probe is no sign of health.
    opened_by_slowness: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// Whether the share of admitted calls may still be climbing.
    Closed {
        ramping: bool,
    },
    Open {
        until: Nanos,
    },
    HalfOpen(Round),
}

/// One half-open round: it starts with its first probe and lasts at most one lease.
#[derive(Clone, Debug)]
struct Round {
    ends: Nanos,
    in_flight: u32,
    successes: u32,
    failures: u32,
    /// Whether any answer was neutral.
    neutral: bool,
}

/// Ramps start at this share, else the first calls after closing would all be refused.
const RAMP_FLOOR: f64 = 0.1;

impl Machine {
    pub(super) fn new() -> Self {
        Self {
            state: State::Closed { ramping: false },
            generation: 0,
            openings: 0,
            closed_since: 0,
            opened_by_slowness: false,
        }
    }

    pub(super) fn state(&self) -> CircuitState {
        match self.state {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::HalfOpen(_) => CircuitState::HalfOpen,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn gate(&self, policy: &Policy) -> Gate {
        match &self.state {
            State::Closed { ramping: false } => Gate::Closed,
            State::Open { until } => Gate::Open { until: *until },
            State::HalfOpen(round) if round.in_flight >= policy.probes => {
                Gate::AllProbesOut { until: round.ends }
            }
            State::Closed { .. } | State::HalfOpen(_) => Gate::Consult,
        }
    }

    /// When the present state ends by itself, if it does.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        match &self.state {
            State::Closed { .. } => None,
            State::Open { until } => Some(*until),
            State::HalfOpen(round) => Some(round.ends),
        }
    }

    /// Catches up with the end of a round or a ramp. An open circuit whose time is over stays open until somebody
    /// asks for a probe.
    pub(super) fn advance(
        &mut self,
        now: Nanos,
        policy: &Policy,
        draw: impl Fn() -> f64,
    ) -> Option<Transition> {
        match &self.state {
            State::Closed { ramping: true } if now >= self.ramp_until(policy) => {
                self.state = State::Closed { ramping: false };
                None
            }
            State::HalfOpen(round) if now >= round.ends => {
                let ends = round.ends;
                Some(if round.failures > 0 {
                    self.open(ends, Cause::ProbeFailed, None, policy, draw)
                } else if round.successes > 0 || round.neutral {
                    self.close(ends, Cause::Answered, policy)
                } else {
                    self.openings = self.openings.saturating_sub(1);
                    self.open(ends, Cause::NothingAnswered, None, policy, draw)
                })
            }
            _ => None,
        }
    }

    /// Asks for leave to make a call. Call [`advance`](Self::advance) first.
    pub(super) fn admit(
        &mut self,
        now: Nanos,
        policy: &Policy,
        draw: impl Fn() -> f64,
    ) -> (Result<Leave, Refusal>, Option<Transition>) {
        let generation = self.generation;
        let refuse = |reason, until| Err(Refusal { reason, until });
        let ramp_until = self.ramp_until(policy);
        match &mut self.state {
            State::Closed { ramping } => {
                let passes =
                    !*ramping || draw() < ramp_share(ramp_until.saturating_sub(now), policy);
                let leave = if passes {
                    Ok(Leave::Ordinary { generation })
                } else {
                    refuse(RejectReason::CircuitRamping, Some(ramp_until))
                };
                (leave, None)
            }
            State::Open { until } if now < *until => {
                (refuse(RejectReason::CircuitOpen, Some(*until)), None)
            }
            State::Open { .. } => {
                self.generation += 1;
                let ends = now.saturating_add(nanos(policy.lease));
                let was_until = self.deadline();
                self.state = State::HalfOpen(Round {
                    ends,
                    in_flight: 1,
                    successes: 0,
                    failures: 0,
                    neutral: false,
                });
                let transition = Transition {
                    from: CircuitState::Open,
                    to: CircuitState::HalfOpen,
                    cause: Cause::Due,
                    generation: self.generation,
                    at: now,
                    until: ends,
                    was_until,
                };
                let generation = self.generation;
                (Ok(Leave::Probe { generation }), Some(transition))
            }
            State::HalfOpen(round) if round.in_flight < policy.probes => {
                round.in_flight += 1;
                (Ok(Leave::Probe { generation }), None)
            }
            State::HalfOpen(round) => (
                refuse(RejectReason::CircuitHalfOpen, Some(round.ends)),
                None,
            ),
        }
    }

    /// Gives a probe's place back; its verdict is reported apart from that, because it may come later.
    pub(super) fn probe_returned(&mut self, generation: u64) {
        if generation == self.generation
            && let State::HalfOpen(round) = &mut self.state
        {
            round.in_flight = round.in_flight.saturating_sub(1);
        }
    }

    /// Whether a probe whose head came late has been counted as a failure by that.
    pub(super) fn head_failed(&self, generation: u64, slow: bool) -> bool {
        slow && self.opened_by_slowness && generation == self.generation
    }

    /// Counts what a probe found. Whatever comes from an earlier generation moves nothing.
    pub(super) fn probe_judged(
        &mut self,
        generation: u64,
        verdict: Verdict,
        slow: bool,
        now: Nanos,
        policy: &Policy,
        draw: impl Fn() -> f64,
    ) -> Option<Transition> {
        if generation != self.generation {
            return None;
        }
        let State::HalfOpen(round) = &mut self.state else {
            return None;
        };
        let good = !(slow && self.opened_by_slowness);
        match verdict {
            Verdict::Success if good => round.successes += 1,
            Verdict::Neutral if good => round.neutral = true,
            Verdict::Success | Verdict::Neutral | Verdict::Failure => round.failures += 1,
            Verdict::Trip { open_for } => {
                return Some(self.open(now, Cause::Asked, Some(open_for), policy, draw));
            }
        }
        if round.failures > policy.trials.saturating_sub(policy.successes) {
            Some(self.open(now, Cause::ProbeFailed, None, policy, draw))
        } else if round.successes >= policy.successes {
            Some(self.close(now, Cause::ProbesSucceeded, policy))
        } else {
            None
        }
    }

    /// When the ramp ends, by the policy in force: it may have changed since the circuit closed.
    fn ramp_until(&self, policy: &Policy) -> Nanos {
        let ramp = policy.ramp.map_or(0, nanos);
        self.closed_since.saturating_add(ramp)
    }

    /// Starts a new generation in the same state: what is out then moves nothing any more.
    pub(super) fn begin_anew(&mut self) {
        self.generation += 1;
    }

    /// Forgets how often the circuit has opened.
    pub(super) fn forget_openings(&mut self) {
        self.openings = 0;
    }
}

/// The admitted share when `left` of the ramp remains.
#[expect(
    clippy::cast_precision_loss,
    reason = "a share needs no more than 52 bits"
)]
fn ramp_share(left: Nanos, policy: &Policy) -> f64 {
    let whole = policy.ramp.map_or(0, nanos).max(1);
    (1.0 - left as f64 / whole as f64).max(RAMP_FLOOR)
}
