//! The model: a circuit as the documentation describes it, kept as the plain history of what happened.
//!
//! Nothing here is fast or shared. Counts are made anew from the history whenever one is needed.

use std::time::Duration;

use brownout::{
    breaker::{Abandoned, Totals},
    core::{RejectReason, Verdict},
    registry::{CircuitMode, CircuitState, Status},
};

use crate::orders::Orders;
use crate::rules::{MS, Nanos, Rules, Window};

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
    /// Whether the circuit knows that time. Closed and left to itself, it reads the clock only where its policy asks
    /// how long calls take, so a policy that asks for the first time finds calls whose age nobody knows.
    timed: bool,
    generation: u64,
    role: Role,
    head: Option<Head>,
    done: bool,
}

/// The head of a call's answer, once it is there.
#[derive(Clone, Copy, Debug)]
struct Head {
    slow: bool,
    failed: bool,
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
                let asks = self.rules.ask_for_times() || orders.mode(now).is_some();
                self.calls.push(Call {
                    admitted: now,
                    timed: asks || role != Role::Counted,
                    generation: self.generation,
                    role,
                    head: None,
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
                retry_after: orders.end(now).map(|end| end - now),
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
                    && call.head.is_none()
                    && !call.done
            })
            .count()
    }

    /// The head of the call's answer is there, and looks like this.
    pub(crate) fn head(&mut self, now: Nanos, call: usize, verdict: Verdict) {
        self.end_round(now);
        if self.calls[call].head.is_some() {
            return;
        }
        let slow = self.is_slow(now, call);
        self.calls[call].head = Some(Head {
            slow,
            failed: verdict.is_failure() || self.is_too_slow(slow),
        });
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
        let verdict = verdict.or_else(|| self.verdict_on_abandoned(now, call));
        match verdict {
            Some(Verdict::Success) => self.totals.successes += 1,
            Some(Verdict::Failure | Verdict::Trip { .. }) => self.totals.failures += 1,
            Some(Verdict::Neutral) => self.totals.neutral += 1,
            None => self.totals.abandoned += 1,
        }
        let head = self.calls[call].head;
        let slow = head.map_or_else(|| self.is_slow(now, call), |head| head.slow);
        let is_probe = self.is_probe_of_this_round(call);
        self.calls[call].done = true;
        if self.calls[call].generation != self.generation {
            return;
        }
        if is_probe {
            // After the head, a body can only add a failure, and a call fails only once.
            let news = match (head, verdict) {
                (None, verdict) => verdict,
                (Some(head), Some(verdict)) if verdict.is_failure() && !head.failed => {
                    Some(verdict)
                }
                _ => None,
            };
            if let Some(verdict) = news {
                self.probed(now, verdict, slow);
            }
        } else if self.calls[call].role == Role::Counted {
            self.count(now, verdict, slow, mode, generation_seen);
        }
    }

    fn count(
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

    fn verdict_on_abandoned(&self, now: Nanos, call: usize) -> Option<Verdict> {
        let call = &self.calls[call];
        match self.rules.abandoned() {
            Abandoned::Failure => Some(Verdict::Failure),
            Abandoned::FailureIfSlowerThan(limit)
                if call.timed
                    && call.head.is_none()
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
    fn look_for_hanging(&mut self, now: Nanos, mode: Option<CircuitMode>) {
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
                && call.head.is_none()
                && !call.done
                && now / step >= call.admitted / step + 9
        };
        small(self.calls.iter().filter(hangs).count())
    }

    fn forget(&mut self) {
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

    /// A reason to open has come up while closed.
    fn trip(
        &mut self,
        now: Nanos,
        open_for: Option<Duration>,
        slowness: bool,
        mode: Option<CircuitMode>,
    ) {
        let State::Closed { since } = self.state else {
            return;
        };
        match mode {
            Some(CircuitMode::ForcedClosed) => return,
            Some(CircuitMode::ObserveOnly) => {
                self.generation += 1;
                self.forget();
                self.told.push(Told::WouldOpen {
                    generation: self.generation,
                });
                return;
            }
            Some(CircuitMode::ForcedOpen) | None => {}
        }
        let healthy = now - since >= self.rules.healthy_spell();
        self.doublings = match self.doublings {
            Some(doublings) if !healthy => Some(doublings + 1),
            _ => Some(0),
        };
        self.opened_by_slowness = slowness;
        self.open(now, now, open_for);
    }

    /// A probe of this round has said something.
    fn probed(&mut self, now: Nanos, verdict: Verdict, slow: bool) {
        match verdict {
            Verdict::Trip { open_for } => self.reopen(now, now, Some(open_for), true),
            Verdict::Failure => self.answer(now, Answer::Bad),
            _ if self.is_too_slow(slow) => self.answer(now, Answer::Bad),
            Verdict::Success => self.answer(now, Answer::Good),
            Verdict::Neutral => self.answer(now, Answer::Neutral),
        }
    }

    /// A slow probe is a failure in a circuit that slowness opened.
    fn is_too_slow(&self, slow: bool) -> bool {
        slow && self.opened_by_slowness
    }

    fn answer(&mut self, now: Nanos, answer: Answer) {
        let State::HalfOpen { answers, .. } = &mut self.state else {
            return;
        };
        answers.push(answer);
        let many = |wanted| small(answers.iter().filter(|&&answer| answer == wanted).count());
        let (good, bad) = (many(Answer::Good), many(Answer::Bad));
        if bad > self.rules.trials - self.rules.successes {
            self.reopen(now, now, None, true);
        } else if good >= self.rules.successes {
            self.close(now);
        }
    }

    /// A round ends when its lease does, even if somebody looks only later.
    pub(crate) fn end_round(&mut self, now: Nanos) {
        let State::HalfOpen { end, answers } = &self.state else {
            return;
        };
        let end = *end;
        if now < end {
            return;
        }
        if answers.contains(&Answer::Bad) {
            self.reopen(end, now, None, true);
        } else if answers.is_empty() {
            self.reopen(end, now, None, false);
        } else {
            self.close(end);
        }
    }

    fn half_open(&mut self, now: Nanos) {
        self.generation += 1;
        self.state = State::HalfOpen {
            end: now + self.rules.lease,
            answers: Vec::new(),
        };
        self.told.push(Told::HalfOpened {
            generation: self.generation,
        });
    }

    fn close(&mut self, at: Nanos) {
        self.generation += 1;
        self.state = State::Closed { since: at };
        self.forget();
        self.opened_by_slowness = false;
        self.told.push(Told::Closed {
            generation: self.generation,
        });
    }

    fn reopen(&mut self, at: Nanos, now: Nanos, open_for: Option<Duration>, doubles: bool) {
        self.doublings = Some(match self.doublings {
            Some(doublings) => doublings + u32::from(doubles),
            None => 0,
        });
        self.open(at, now, open_for);
    }

    fn open(&mut self, at: Nanos, now: Nanos, asked: Option<Duration>) {
        let longest = self.rules.open_for_at_most;
        let open_for = match asked {
            Some(asked) if !asked.is_zero() => {
                let asked = u64::try_from(asked.as_nanos()).unwrap_or(u64::MAX);
                // A circuit that opens is open for a millisecond at least, the shortest time that a policy can name.
                asked.min(longest).max(MS)
            }
            _ => (0..self.doublings.unwrap_or(0))
                .try_fold(self.rules.open_for, |time, _| {
                    (time < longest).then(|| time * 2)
                })
                .map_or(longest, |time| time.min(longest)),
        };
        let until = at + open_for;
        self.generation += 1;
        self.state = State::Open { until };
        self.told.push(Told::Opened {
            retry_after: until.saturating_sub(now),
            generation: self.generation,
        });
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
            .find(|call| !call.done && call.head.is_none())?;
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

/// Whether `part` of `whole` is at least so many thousandths.
fn reaches(part: u32, whole: u32, thousandths: u32) -> bool {
    whole > 0 && u64::from(part) * 1000 >= u64::from(whole) * u64::from(thousandths)
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
