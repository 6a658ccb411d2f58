//! The model: a circuit as the documentation describes it, kept as the plain history of what happened.
//!
//! Nothing here is fast or shared. Counts are made anew from the history whenever one is needed.

mod counts;
mod moves;

use std::time::Duration;

use brownout::{
    breaker::{Abandoned, Totals},
    core::{RejectReason, Verdict},
    registry::{CircuitMode, CircuitState, Status},
};

use crate::{
    orders::Orders,
    rules::{MS, Nanos, Rules},
};

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) rules: Rules,
    state: State,
    pub(crate) generation: u64,
    /// How often the open time has been doubled; none before the circuit has opened, or once that is forgotten.
    doublings: Option<u32>,
    /// Whether slowness opened the circuit; kept until it closes.
    opened_by_slowness: bool,
    calls: Vec<Call>,
    /// Everything ever judged while closed.
    judged: Vec<Judged>,
    /// How much of it is forgotten: what was judged before the circuit last closed, would have opened, or was told to
    /// forget. What opened it stays to be seen while it is open.
    forgotten: usize,
    /// When the last admission looked for hanging calls.
    looked_for_hanging: Option<Nanos>,
    pub(crate) totals: Counters,
    /// What the registry must have been told.
    pub(crate) told: Vec<Told>,
}

#[derive(Clone, Debug)]
enum State {
    Closed { since: Nanos },
    Open { until: Nanos },
    HalfOpen { end: Nanos, answers: Vec<Answer> },
}

/// What a probe said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Good,
    Bad,
    /// An answer all the same.
    Neutral,
}

/// A call that was admitted; its place in the list is its name.
#[derive(Debug)]
struct Call {
    admitted: Nanos,
    /// Whether the circuit knows that time. Closed, it reads the clock only where its policy asks
    /// how long calls take, so a policy that asks for the first time finds calls whose age nobody knows.
    timed: bool,
    generation: u64,
    role: Role,
    /// Whether the head of its answer was late, once it is there.
    slow_head: Option<bool>,
    done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Counts in the window.
    Counted,
    Probe,
    /// Let through by an operator alone.
    Bystander,
}

#[derive(Clone, Copy, Debug)]
struct Judged {
    at: Nanos,
    failure: bool,
    slow: bool,
}

/// What the registry is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Opened { retry_after: Nanos, generation: u64 },
    HalfOpened { generation: u64 },
    Closed { generation: u64 },
    WouldOpen { generation: u64 },
}

/// As [`Totals`], which only a circuit can make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) successes: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
    pub(crate) neutral: u64,
    pub(crate) abandoned: u64,
    pub(crate) rejected: u64,
}

/// What the window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) calls: u32,
    pub(crate) failures: u32,
    pub(crate) slow: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: RejectReason,
    pub(crate) retry_after: Option<Nanos>,
}

impl Model {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            state: State::Closed { since: 0 },
            generation: 0,
            doublings: None,
            opened_by_slowness: false,
            calls: Vec::new(),
            judged: Vec::new(),
            forgotten: 0,
            looked_for_hanging: None,
            totals: Counters::default(),
            told: Vec::new(),
        }
    }

    /// Asks for leave to make a call. Gives the call's name.
    pub(crate) fn admit(&mut self, now: Nanos, orders: &Orders) -> Result<usize, Refusal> {
        self.end_round(now);
        match self.role_of_next_call(now, orders) {
            Ok(role) => {
                let asks = self.rules.ask_for_times();
                self.calls.push(Call {
                    admitted: now,
                    timed: asks || role != Role::Counted,
                    generation: self.generation,
                    role,
                    slow_head: None,
                    done: false,
                });
                Ok(self.calls.len() - 1)
            }
            Err(refusal) => {
                self.totals.rejected += 1;
                Err(refusal)
            }
        }
    }

    fn role_of_next_call(&mut self, now: Nanos, orders: &Orders) -> Result<Role, Refusal> {
        let mode = orders.mode(now);
        self.look_for_hanging(now, mode);
        if mode == Some(CircuitMode::ForcedOpen) {
            return Err(Refusal {
                reason: RejectReason::CircuitForcedOpen,
                // Orders may last for days; nobody is told to stay away that long.
                retry_after: orders.end(now).map(|end| (end - now).min(60_000 * MS)),
            });
        }
        match &self.state {
            State::Closed { .. } => return Ok(Role::Counted),
            State::Open { .. } | State::HalfOpen { .. } if mode.is_some() => {
                return Ok(Role::Bystander);
            }
            State::Open { until } if now < *until => {
                return Err(Refusal {
                    reason: RejectReason::CircuitOpen,
                    retry_after: Some(until - now),
                });
            }
            State::Open { .. } => self.half_open(now),
            State::HalfOpen { .. } => {}
        }
        if let State::HalfOpen { end, .. } = self.state
            && self.probes_out() >= self.rules.probes as usize
        {
            return Err(Refusal {
                reason: RejectReason::CircuitHalfOpen,
                retry_after: Some(end - now),
            });
        }
        Ok(Role::Probe)
    }

    fn probes_out(&self) -> usize {
        self.calls
            .iter()
            .filter(|call| {
                call.role == Role::Probe
                    && call.generation == self.generation
                    && call.slow_head.is_none()
                    && !call.done
            })
            .count()
    }

    /// The head of the call's answer is there, and looks like this. One that fails is the call's end.
    pub(crate) fn head(
        &mut self,
        now: Nanos,
        call: usize,
        verdict: Verdict,
        mode: Option<CircuitMode>,
        generation_seen: impl FnOnce() -> u64,
    ) {
        if verdict.is_failure() {
            self.settle(now, call, Some(verdict), mode, generation_seen);
            return;
        }
        self.end_round(now);
        if self.calls[call].done || self.calls[call].slow_head.is_some() {
            return;
        }
        let slow = self.is_slow(now, call);
        self.calls[call].slow_head = Some(slow);
        if self.is_probe_of_this_round(call) {
            self.probed(now, verdict, slow);
        }
    }

    /// The call is over; without a verdict it was dropped. What the circuit made of it shows in its generation; that
    /// decides where the documentation leaves the moment open.
    pub(crate) fn settle(
        &mut self,
        now: Nanos,
        call: usize,
        verdict: Option<Verdict>,
        mode: Option<CircuitMode>,
        generation_seen: impl FnOnce() -> u64,
    ) {
        self.end_round(now);
        if self.calls[call].done {
            return;
        }
        let verdict = verdict.or_else(|| self.verdict_on_abandoned(now, call));
        match verdict {
            Some(Verdict::Success) => self.totals.successes += 1,
            Some(Verdict::Failure | Verdict::Trip { .. }) => self.totals.failures += 1,
            Some(Verdict::Neutral) => self.totals.neutral += 1,
            None => self.totals.abandoned += 1,
        }
        let slow_head = self.calls[call].slow_head;
        let slow = slow_head.unwrap_or_else(|| self.is_slow(now, call));
        let is_probe = self.is_probe_of_this_round(call);
        self.calls[call].done = true;
        if self.calls[call].generation != self.generation {
            return;
        }
        if is_probe {
            // After the head, a body can only add a failure, and a call fails only once.
            let news = verdict.filter(|verdict| match verdict {
                _ if slow_head.is_none() => true,
                Verdict::Trip { .. } => true,
                Verdict::Failure => !self.is_too_slow(slow),
                Verdict::Success | Verdict::Neutral => false,
            });
            if let Some(verdict) = news {
                self.probed(now, verdict, slow);
            }
        } else if self.calls[call].role == Role::Counted {
            self.count(now, verdict, slow, mode, generation_seen);
        }
    }

    fn verdict_on_abandoned(&self, now: Nanos, call: usize) -> Option<Verdict> {
        let call = &self.calls[call];
        match self.rules.abandoned() {
            Abandoned::Failure => Some(Verdict::Failure),
            Abandoned::FailureIfSlowerThan(limit)
                if call.timed
                    && call.slow_head.is_none()
                    && Duration::from_nanos(now - call.admitted) >= limit =>
            {
                Some(Verdict::Failure)
            }
            _ => None,
        }
    }

    fn is_slow(&self, now: Nanos, call: usize) -> bool {
        let call = &self.calls[call];
        let limit = self.rules.slow.map(|slow| slow.threshold);
        call.timed && limit.is_some_and(|limit| now - call.admitted >= limit)
    }

    fn is_probe_of_this_round(&self, call: usize) -> bool {
        let call = &self.calls[call];
        call.role == Role::Probe
            && call.generation == self.generation
            && matches!(self.state, State::HalfOpen { .. })
    }

    pub(crate) fn reconfigure(&mut self, now: Nanos, rules: Rules) {
        self.end_round(now);
        self.rules = rules;
    }

    pub(crate) fn clear_counts(&mut self, now: Nanos) {
        self.end_round(now);
        self.forget();
        self.doublings = None;
    }

    pub(crate) fn state(&self) -> CircuitState {
        match self.state {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// When the open time or the round is over.
    pub(crate) fn due(&self) -> Option<Nanos> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until } => Some(until),
            State::HalfOpen { end, .. } => Some(end),
        }
    }

    /// When the closed spell will have been long enough for the back-off to start over.
    pub(crate) fn healthy_at(&self) -> Option<Nanos> {
        match self.state {
            State::Closed { since } => Some(since + self.rules.healthy_spell()),
            _ => None,
        }
    }

    /// When the oldest call that is out becomes slow.
    pub(crate) fn slow_at(&self) -> Option<Nanos> {
        let out = self
            .calls
            .iter()
            .find(|call| !call.done && call.slow_head.is_none())?;
        Some(out.admitted + self.rules.slow?.threshold)
    }

    /// How the dependency is, as far as the circuit has told; what it tells of trouble ends by itself.
    pub(crate) fn status(&self, now: Nanos, mode: Option<CircuitMode>) -> Status {
        let told = match self.due() {
            None => Status::Healthy,
            Some(due) if now < due => Status::Unhealthy,
            Some(_) => Status::Degraded,
        };
        match mode {
            None => told,
            Some(CircuitMode::ForcedOpen) => Status::Unhealthy,
            Some(CircuitMode::ForcedClosed | CircuitMode::ObserveOnly) => {
                told.min(Status::Degraded)
            }
        }
    }
}

impl From<Totals> for Counters {
    fn from(totals: Totals) -> Self {
        Self {
            successes: totals.successes,
            failures: totals.failures,
            slow: totals.slow,
            neutral: totals.neutral,
            abandoned: totals.abandoned,
            rejected: totals.rejected,
        }
    }
}
