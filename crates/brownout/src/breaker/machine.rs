//! The slow side of a circuit: a pure state machine over `now`, without clocks, locks or I/O.
//!
//! While closed it only knows that it is closed; what trips it is counted elsewhere (`engine`). Time passes lazily:
//! [`Machine::advance`] catches up with every deadline that has passed, at the time of that deadline, so that a
//! circuit nobody looked at for an hour is where a prompt one would be.

use std::time::Duration;

use brownout_registry::CircuitState;

use super::policy::{Policy, Window};
use crate::core::{RejectReason, Verdict};

/// Nanoseconds since the circuit was made.
pub(super) type Nanos = u64;

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

/// What moved the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    /// The share of failures in the window reached its threshold.
    FailureRatio,
    /// Too many failures without a success between them.
    ConsecutiveFailures,
    /// The share of slow calls in the window reached its threshold.
    SlowRatio,
    /// The dependency asked to be left alone ([`Verdict::Trip`]).
    Asked,
    /// The open time is over; the next call is a probe.
    Due,
    /// Enough probes failed, or one had when the round ended.
    ProbeFailed,
    /// No probe was answered within the lease.
    NothingAnswered,
    /// Enough probes succeeded.
    ProbesSucceeded,
    /// The round ended with an answer and without a failure.
    Answered,
    /// One of a family made room: nobody had called for it since long before.
    Forgotten,
}

impl Cause {
    /// The cause in words, as it appears in logs and events.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::FailureRatio => "failure ratio",
            Self::ConsecutiveFailures => "consecutive failures",
            Self::SlowRatio => "slow ratio",
            Self::Asked => "asked by the dependency",
            Self::Due => "open time over",
            Self::ProbeFailed => "probe failed",
            Self::NothingAnswered => "no probe answered",
            Self::ProbesSucceeded => "probes succeeded",
            Self::Answered => "probe answered",
            Self::Forgotten => "not called any more",
        }
    }
}

/// A change of state, to be told to the registry once no lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) from: CircuitState,
    pub(super) to: CircuitState,
    pub(super) cause: Cause,
    pub(super) generation: u64,
    pub(super) at: Nanos,
    /// For open: when a probe is due. For half-open: when the round ends.
    pub(super) until: Nanos,
    /// The same of the state it leaves.
    pub(super) was_until: Option<Nanos>,
}

/// Leave to make one call, in the generation that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Ordinary { generation: u64 },
    Probe { generation: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: RejectReason,
    /// When it is worth trying again, where that is known.
    pub(super) until: Option<Nanos>,
}

/// What the fast path has to know: whether calls pass, are refused until some time, or must ask the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Closed,
    Open { until: Nanos },
    AllProbesOut { until: Nanos },
    Consult,
}

/// Ramps start at this share, else the first calls after closing would all be refused.
const RAMP_FLOOR: f64 = 0.1;

/// How long a circuit over a window of calls must stay closed for its back-off to start over.
const HEALTHY_SPELL: Duration = Duration::from_secs(10);

/// How long after it was due a circuit of a family still counts if nobody calls. Whoever wanted anything of its key would
/// have called long before: this is ten times the longest open time of the default policy.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);

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

    /// Opens a closed circuit. `open_for` is what the dependency asked for, if it did.
    pub(super) fn trip(
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
    pub(super) fn forget(&mut self, now: Nanos, policy: &Policy) -> Option<Transition> {
        let due = self.deadline()?;
        (forgotten(due) <= now).then(|| self.close(now, Cause::Forgotten, policy))
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

    fn open(
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

    fn close(&mut self, at: Nanos, cause: Cause, policy: &Policy) -> Transition {
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

/// The admitted share when `left` of the ramp remains.
#[expect(
    clippy::cast_precision_loss,
    reason = "a share needs no more than 52 bits"
)]
fn ramp_share(left: Nanos, policy: &Policy) -> f64 {
    let whole = policy.ramp.map_or(0, nanos).max(1);
    (1.0 - left as f64 / whole as f64).max(RAMP_FLOOR)
}

/// When a circuit that is open until then, and that nobody calls, no longer says anything of its dependency.
pub(super) fn forgotten(due: Nanos) -> Nanos {
    due.saturating_add(nanos(FORGOTTEN_AFTER))
}

#[inline]
pub(super) fn nanos(duration: Duration) -> Nanos {
    // Cheaper than `as_nanos`, which is 128 bits wide; 64 last for 584 years.
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(duration.subsec_nanos()))
}
