//! The concurrent core of a circuit: a gate that the fast path reads, counts that it adds to, and the machine behind
//! a lock for everything else.
//!
//! The closed path takes no lock: it reads the gate, and adds to a stripe. When its sums say that a threshold may be
//! reached, the lock is taken and the question asked again, exactly, before anything moves. Every generation check
//! that matters happens under that lock.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwapOption;
use brownout_registry::{CircuitMode, CircuitState};

use crate::core::{
    RejectReason, Verdict,
    sync::{
        AtomicU32, AtomicU64, Mutex, MutexGuard,
        Ordering::{Acquire, Relaxed, Release},
        lock, try_lock,
    },
};

use super::{
    counts::{BUCKETS, Baselines, CallWindow, Stripe, Sums, TimeWindow},
    hanging::STEPS,
    knobs::Knobs,
    machine::{Cause, Gate, Leave, Machine, Nanos, Refusal, Transition},
    policy::{Policy, Window},
    stats::Totals,
};

#[derive(Debug)]
pub(super) struct Engine {
    /// The generation, and in the lowest four bits what the fast path does with a call.
    gate: AtomicU64,
    /// Until when the gate refuses.
    until: AtomicU64,
    /// Failures since the last success.
    run: AtomicU32,
    knobs: Knobs,
    window: TimeWindow,
    calls: ArcSwapOption<CallWindow>,
    stripes: Box<[Arc<Stripe>]>,
    hanging_checked: AtomicU64,
    guarded: Mutex<Guarded>,
}

#[derive(Debug)]
struct Guarded {
    machine: Machine,
    baselines: Baselines,
    policy: Arc<Policy>,
    /// Whether an operator imposes a mode: then every call asks.
    imposed: bool,
    /// One of many, which nobody tells when an operator steps in: calls look for themselves.
    keyed: bool,
}

/// What a ticket remembers of its admission, or of its refusal.
///
/// Three words, each of which fits a register: where a call is not inlined they are handed over one by one, because a
/// reference to all of them would force them into memory on the shortest way too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    /// The gate that admitted the call, or its generation with the kind of pass.
    pub(super) gate: u64,
    /// When the call was admitted. Of a refused call: when it is worth trying again. [`UNKNOWN`] where nobody asked.
    pub(super) at: Nanos,
    pub(super) course: Course,
}

/// How far a call has got.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// Where it is counted while it is out.
    hanging: Option<NonZeroU32>,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The call is out.
    Out,
    /// The head of its answer has come, in time or late.
    Headed,
    HeadedLate,
    /// The call was never made.
    Refused(RejectReason),
}

/// Later than everything: no time is a long time after it.
const UNKNOWN: Nanos = Nanos::MAX;

impl Pass {
    #[inline]
    fn new(gate: u64, at: Nanos) -> Self {
        Self {
            gate,
            at,
            course: Course {
                hanging: None,
                stage: Stage::Out,
            },
        }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        let mut pass = Self::new(APART, refusal.until.unwrap_or(UNKNOWN));
        pass.course.stage = Stage::Refused(refusal.reason);
        pass
    }

    /// Why the call was refused, if it was.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self.course.stage {
            Stage::Refused(reason) => Some(Refusal {
                reason,
                until: (self.at != UNKNOWN).then_some(self.at),
            }),
            Stage::Out | Stage::Headed | Stage::HeadedLate => None,
        }
    }

    pub(super) fn is_probe(&self) -> bool {
        self.gate & KIND == PROBE
    }

    /// The generation of the closed circuit that admitted the call.
    fn ordinary(&self) -> Option<u64> {
        (self.gate & KIND <= CLOSED_OTHERWISE).then_some(self.gate >> KIND_BITS)
    }

    fn generation(&self) -> u64 {
        self.gate >> KIND_BITS
    }
}

/// A threshold seems to be reached; ask [`Engine::trip`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarm {
    generation: u64,
    asked: Option<Duration>,
}

/// What happened under the lock, to be told to the world once it is released.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) transitions: Vec<Transition>,
    pub(super) would_open: Option<(Cause, u64)>,
    /// A place for a probe has become free.
    pub(super) place_freed: bool,
}

impl Effects {
    pub(super) fn is_empty(&self) -> bool {
        self.transitions.is_empty() && self.would_open.is_none() && !self.place_freed
    }
}

/// Closed, and a success only has to be counted and to end a run of failures.
const CLOSED: u64 = 0;
/// Closed, with a window of time.
const CLOSED_WINDOWED: u64 = 1;
/// Closed, with a window of time, and the policy asks when calls were admitted.
const CLOSED_TIMED: u64 = 2;
/// Closed, but not as simple: a window of calls, one of a family.
const CLOSED_OTHERWISE: u64 = 3;
const OPEN: u64 = 4;
const ALL_PROBES_OUT: u64 = 5;
/// The machine decides, or an operator does.
const CONSULT: u64 = 6;
/// Not of the gate, but of passes: admitted as a probe.
const PROBE: u64 = 7;
/// Likewise: admitted by an operator's mode against the circuit's own will. Counted in the totals, moves nothing.
const APART: u64 = 8;

const KIND_BITS: u32 = 4;
const KIND: u64 = (1 << KIND_BITS) - 1;

impl Engine {
    pub(super) fn new(policy: Arc<Policy>, stripes: usize) -> Self {
        Self::build(policy, stripes, false)
    }

    /// One circuit of a family: without stripes, because there are many of them.
    pub(super) fn keyed(policy: Arc<Policy>) -> Self {
        Self::build(policy, 1, true)
    }

    fn build(policy: Arc<Policy>, stripes: usize, keyed: bool) -> Self {
        let engine = Self {
            gate: AtomicU64::new(CLOSED),
            until: AtomicU64::new(0),
            run: AtomicU32::new(0),
            knobs: Knobs::default(),
            window: TimeWindow::new(),
            calls: ArcSwapOption::empty(),
            stripes: (0..stripes).map(|_| Arc::new(Stripe::new())).collect(),
            hanging_checked: AtomicU64::new(0),
            guarded: Mutex::new(Guarded {
                machine: Machine::new(),
                baselines: Baselines::new(),
                policy: Arc::clone(&policy),
                imposed: false,
                keyed,
            }),
        };
        engine.apply(&policy);
        engine.window.begin(0, bucket_of(&policy));
        engine.set_gate(&lock(&engine.guarded));
        engine
    }

    /// Whether the circuit is closed, and no operator has a say.
    #[inline]
    pub(super) fn is_plainly_closed(&self) -> bool {
        self.gate.load(Acquire) & KIND <= CLOSED_TIMED
    }

    /// Whether a call would be refused now, if no operator has a say. Decides a service's readiness; grants nothing.
    pub(super) fn refuses(&self, clock: impl Fn() -> Nanos) -> bool {
        match self.gate.load(Acquire) & KIND {
            OPEN | ALL_PROBES_OUT => clock() < self.until.load(Acquire),
            CONSULT => {
                let guarded = lock(&self.guarded);
                match guarded.machine.gate(&guarded.policy) {
                    Gate::Open { until } | Gate::AllProbesOut { until } => clock() < until,
                    Gate::Closed | Gate::Consult => false,
                }
            }
            _ => false,
        }
    }

    /// For how long a call would be refused, as far as is known.
    pub(super) fn refuses_for(&self, now: Nanos) -> Option<Duration> {
        self.refuses(|| now)
            .then(|| Duration::from_nanos(self.until.load(Acquire).saturating_sub(now)))
    }

    /// The refusal of a call that was promised one, even if the circuit has moved on since.
    pub(super) fn refusal(&self, stripe: &Stripe) -> Refusal {
        stripe.rejected.fetch_add(1, Relaxed);
        let kind = self.gate.load(Acquire) & KIND;
        Refusal {
            reason: refused_by(kind),
            until: matches!(kind, OPEN | ALL_PROBES_OUT).then(|| self.until.load(Acquire)),
        }
    }

    /// The shortest way: a closed circuit to which time does not matter yet.
    #[inline]
    pub(super) fn admit_plainly(&self) -> Option<Pass> {
        let gate = self.gate.load(Acquire);
        (gate & KIND <= CLOSED_WINDOWED).then(|| Pass::new(gate, UNKNOWN))
    }

    /// Decides about a call without the lock; `None` asks for [`admit`](Self::admit).
    #[inline]
    pub(super) fn admit_fast(&self, stripe: &Stripe, clock: impl Fn() -> Nanos) -> Option<Pass> {
        let gate = self.gate.load(Acquire);
        match gate & KIND {
            CLOSED | CLOSED_WINDOWED => Some(Pass::new(gate, UNKNOWN)),
            CLOSED_OTHERWISE if !self.knobs.timed() => Some(Pass::new(gate, UNKNOWN)),
            CLOSED_TIMED | CLOSED_OTHERWISE => {
                let now = clock();
                let step = self.knobs.step();
                if step == 0 {
                    return Some(Pass::new(gate, now));
                }
                if now / step != self.hanging_checked.load(Relaxed) {
                    return None;
                }
                Some(self.timed_pass(gate, stripe, now))
            }
            kind @ (OPEN | ALL_PROBES_OUT) => {
                let until = self.until.load(Acquire);
                if clock() >= until {
                    return None;
                }
                stripe.rejected.fetch_add(1, Relaxed);
                Some(Pass::refused(Refusal {
                    reason: refused_by(kind),
                    until: Some(until),
                }))
            }
            _ => None,
        }
    }

    /// Decides about a call that the fast path could not.
    pub(super) fn admit(
        &self,
        stripe: &Stripe,
        mode: Option<CircuitMode>,
        now: Nanos,
        draw: impl Fn() -> f64,
    ) -> (Pass, Effects) {
        let mut effects = Effects::default();
        let mut guarded = lock(&self.guarded);
        self.advance(&mut guarded, now, &draw, &mut effects);
        if guarded.machine.state() == CircuitState::Closed && self.hanging_trips(&mut guarded, now) {
            self.open(&mut guarded, mode, Cause::SlowRatio, None, now, &draw, &mut effects);
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
        drop(guarded);
        if leave.is_err() {
            stripe.rejected.fetch_add(1, Relaxed);
        }
        let pass = match leave {
            Ok((CLOSED_OTHERWISE, generation)) => {
                self.timed_pass(generation << KIND_BITS | CLOSED_OTHERWISE, stripe, now)
            }
            Ok((kind, generation)) => Pass::new(generation << KIND_BITS | kind, now),
            Err(refusal) => Pass::refused(refusal),
        };
        (pass, effects)
    }

    /// Whether the head of an answer that came now came late.
    #[inline]
    pub(super) fn is_slow(&self, pass: &Pass, now: Nanos) -> bool {
        let limit = self.knobs.slow();
        limit != 0 && now.saturating_sub(pass.at) >= limit
    }

    /// Whether judging a call needs the time: else any number does.
    #[inline]
    pub(super) fn judges_by_time(&self) -> bool {
        self.knobs.bucket() != 0 || self.knobs.slow() != 0
    }

    /// A pass to count a failure with that came before a call could be made. Takes no probe's place that is taken, and
    /// no draw of a ramp decides: the failure has happened.
    pub(super) fn admit_failure(
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
        let pass = |kind, generation| Pass::new(generation << KIND_BITS | kind, now);
        let pass = match (machine.state(), mode) {
            (CircuitState::Closed, _) => Some(pass(CLOSED_OTHERWISE, machine.generation())),
            (_, Some(_)) => Some(pass(APART, machine.generation())),
            (CircuitState::HalfOpen, None) => {
                let mut pass = pass(PROBE, machine.generation());
                pass.course.stage = Stage::Headed;
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

    /// The head of the answer has come, or will not: the call no longer hangs.
    #[inline]
    pub(super) fn returned(stripe: &Stripe, pass: &mut Pass) {
        if let Some(started) = pass.course.hanging.take()
            && let Some(hanging) = stripe.hanging()
        {
            hanging.ended(started, pass.generation());
        }
    }

    /// Whether the success of an ordinary call only has to be counted.
    #[allow(clippy::inline_always, reason = "see `CircuitBreaker::poll_ready`")]
    #[inline(always)]
    pub(super) fn only_counts(&self, pass: &Pass, clock: impl Fn() -> Nanos) -> bool {
        // The gate that admitted the call still stands, so its generation is the present one.
        if pass.gate != self.gate.load(Acquire) {
            return false;
        }
        let kind = pass.gate & KIND;
        kind == CLOSED || (kind == CLOSED_WINDOWED && self.window.only_counts_successes(clock()))
    }

    /// The same where the policy asks for times. `now` is read after the call.
    #[inline]
    pub(super) fn only_counts_timed(&self, pass: &Pass, now: Nanos) -> bool {
        pass.gate == self.gate.load(Acquire)
            && pass.gate & KIND == CLOSED_TIMED
            && pass.course.stage == Stage::Out
            && now.saturating_sub(pass.at) < self.knobs.slow()
            && self.window.only_counts_successes(now)
    }

    #[allow(clippy::inline_always, reason = "see `CircuitBreaker::poll_ready`")]
    #[inline(always)]
    pub(super) fn count_success(&self, stripe: &Stripe) {
        stripe.successes.fetch_add(1, Relaxed);
        if self.run.load(Relaxed) != 0 {
            self.run.store(0, Relaxed);
        }
    }

    /// Counts the verdict of an ordinary call. An alarm asks for [`trip`](Self::trip).
    pub(super) fn judged(
        &self,
        stripe: &Stripe,
        pass: &Pass,
        verdict: Verdict,
        slow: bool,
        now: Nanos,
    ) -> Option<Alarm> {
        let generation = self.gate.load(Acquire) >> KIND_BITS;
        if verdict == Verdict::Neutral || pass.ordinary() != Some(generation) {
            self.count_apart(stripe, verdict);
            return None;
        }
        let bucket = self.knobs.bucket();
        if bucket != 0 && now / bucket > self.window.epoch() {
            self.rotate(now, bucket);
        }
        if slow {
            stripe.slow.fetch_add(1, Relaxed);
        }
        let suspicious = if verdict == Verdict::Success {
            stripe.successes.fetch_add(1, Relaxed);
            if self.run.load(Relaxed) != 0 {
                self.run.store(0, Relaxed);
            }
            slow || (bucket != 0 && self.window.is_watchful())
        } else {
            stripe.failures.fetch_add(1, Relaxed);
            self.run.fetch_add(1, Relaxed);
            true
        };
        if bucket != 0 && (slow || verdict != Verdict::Success) {
            self.window.mark_bad();
        }
        if self.knobs.counts_calls() {
            if let Some(calls) = &*self.calls.load() {
                calls.push(verdict != Verdict::Success, slow);
            }
        } else if !suspicious {
            return None;
        }
        let asked = match verdict {
            Verdict::Trip { open_for } => Some(open_for),
            _ => None,
        };
        if asked.is_none() {
            self.alarming(generation, now)?;
        }
        Some(Alarm { generation, asked })
    }

    /// Whether a call that was dropped before it was judged counts as a failure.
    pub(super) fn abandoned_fails(&self, pass: &Pass, clock: impl Fn() -> Nanos) -> bool {
        match self.knobs.abandoned() {
            Knobs::ABANDONED_NEUTRAL => false,
            Knobs::ABANDONED_FAILS => true,
            limit => pass.course.stage == Stage::Out && clock().saturating_sub(pass.at) >= limit,
        }
    }

    /// A call was dropped before it was judged, and the policy says that this counts nothing.
    pub(super) fn abandoned(&self, stripe: &Stripe) {
        stripe.abandoned.fetch_add(1, Relaxed);
    }

    /// Answers an alarm: opens the circuit if, looked at closely, a threshold is reached.
    pub(super) fn trip(
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
                self.open(&mut guarded, mode, cause, alarm.asked, now, draw, &mut effects);
                self.set_gate(&guarded);
            }
        }
        effects
    }

    /// A probe's answer has begun (`verdict` is `None`: its place is free, its verdict not yet known) or it was
    /// judged.
    pub(super) fn probe(
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
        if let Some((verdict, slow)) = verdict {
            let transition = machine.probe_judged(pass.generation(), verdict, slow, now, policy, &draw);
            self.moved(&mut guarded, transition, now, &mut effects);
        }
        self.set_gate(&guarded);
        effects
    }

    /// Counts a verdict in the totals only.
    pub(super) fn count_apart(&self, stripe: &Stripe, verdict: Verdict) {
        match verdict {
            Verdict::Success => stripe.apart_successes.fetch_add(1, Relaxed),
            Verdict::Failure | Verdict::Trip { .. } => stripe.apart_failures.fetch_add(1, Relaxed),
            Verdict::Neutral => stripe.neutral.fetch_add(1, Relaxed),
        };
    }

    /// Empties the window and forgets runs and back-off, in any state.
    pub(super) fn clear_counts(&self, now: Nanos, draw: impl Fn() -> f64) -> Effects {
        let mut effects = Effects::default();
        let mut guarded = lock(&self.guarded);
        self.advance(&mut guarded, now, draw, &mut effects);
        self.clear_window(&mut guarded, now);
        guarded.machine.forget_openings();
        self.set_gate(&guarded);
        effects
    }

    /// Replaces the policy. What was due before is carried out by the old one.
    pub(super) fn reconfigure(&self, policy: Arc<Policy>, now: Nanos, draw: impl Fn() -> f64) -> Effects {
        let mut effects = Effects::default();
        let mut guarded = lock(&self.guarded);
        self.advance(&mut guarded, now, draw, &mut effects);
        let old = std::mem::replace(&mut guarded.policy, Arc::clone(&policy));
        let (before, after) = (bucket_of(&old), bucket_of(&policy));
        if before != 0 && after != 0 && before != after {
            guarded
                .baselines
                .resize(now, before, after, &self.window, &self.stripes);
        } else if before != after {
            guarded.baselines.clear(&self.window, &self.stripes);
            if after != 0 {
                self.window.begin(now / after, after);
            }
        }
        // A ratio may be reached under the new policy by what is held already.
        self.window.set_watchful(true);
        self.apply(&policy);
        self.set_gate(&guarded);
        effects
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&lock(&self.guarded).policy)
    }

    /// The state as of now, its generation, and until when it lasts if nothing happens.
    pub(super) fn look(
        &self,
        now: Nanos,
        draw: impl Fn() -> f64,
        effects: &mut Effects,
    ) -> (CircuitState, u64, Option<Nanos>) {
        let mut guarded = lock(&self.guarded);
        self.advance(&mut guarded, now, draw, effects);
        self.set_gate(&guarded);
        let machine = &guarded.machine;
        (machine.state(), machine.generation(), machine.deadline())
    }

    /// Notes whether an operator imposes a mode. `is_set` is asked under the lock, so that of two changes that race
    /// the later one is seen; it must not lock anything itself.
    pub(super) fn set_imposed(&self, is_set: impl FnOnce() -> bool) {
        let mut guarded = lock(&self.guarded);
        guarded.imposed = is_set();
        self.set_gate(&guarded);
    }

    /// The stripe of that number, of as many as were asked for.
    pub(super) fn stripe(&self, number: usize) -> Arc<Stripe> {
        Arc::clone(&self.stripes[number])
    }

    /// The state when it was last looked at, whatever time has passed.
    pub(super) fn resting_state(&self) -> CircuitState {
        lock(&self.guarded).machine.state()
    }

    /// What the window holds, and the totals since the circuit was made.
    pub(super) fn counts(&self, now: Nanos) -> (Sums, u32, Totals) {
        let bucket = self.knobs.bucket();
        if bucket != 0 {
            self.rotate(now, bucket);
        }
        let held = if self.knobs.windowed() {
            self.held()
        } else {
            Sums::default()
        };
        (held, self.run.load(Relaxed), Totals::of(&self.stripes))
    }

    fn timed_pass(&self, gate: u64, stripe: &Stripe, now: Nanos) -> Pass {
        let mut pass = Pass::new(gate, now);
        let step = self.knobs.step();
        if step != 0
            && let Some(hanging) = stripe.hanging()
        {
            pass.course.hanging = hanging.started(now, step, pass.generation());
        }
        pass
    }

    fn held(&self) -> Sums {
        if self.knobs.counts_calls() {
            return self.calls.load().as_ref().map_or_else(Sums::default, |calls| calls.held());
        }
        self.window.held(&self.stripes)
    }

    /// Looks at the sums without the lock. What is found here is asked again under it.
    #[inline]
    fn alarming(&self, generation: u64, now: Nanos) -> Option<Cause> {
        let run = self.run.load(Relaxed);
        if !self.knobs.windowed() {
            return self.knobs.run_trips(run);
        }
        let held = self.held();
        let cause = self.knobs.trips(held, self.count_hanging(generation, now), run);
        if cause.is_some() {
            // Reached, and perhaps not acted on while an operator forbids it: the next outcome looks again.
            self.window.set_watchful(true);
        } else if held.calls() >= self.knobs.minimum() {
            self.window.set_watchful(false);
        }
        cause
    }

    fn count_hanging(&self, generation: u64, now: Nanos) -> u32 {
        let step = self.knobs.step();
        if step == 0 {
            return 0;
        }
        let hanging = self.stripes.iter().filter_map(|stripe| stripe.hanging());
        let out: i64 = hanging.map(|stripe| stripe.count(now, step, generation)).sum();
        u32::try_from(out.max(0)).unwrap_or(u32::MAX)
    }

    /// Whether calls that hang reach the slow ratio. Asked by the first admission in each step of the threshold:
    /// within a step no further call comes to count as hanging.
    fn hanging_trips(&self, guarded: &mut MutexGuard<'_, Guarded>, now: Nanos) -> bool {
        let step = self.knobs.step();
        if step == 0 || now / step == self.hanging_checked.load(Relaxed) {
            return false;
        }
        self.hanging_checked.store(now / step, Relaxed);
        let hanging = self.count_hanging(guarded.machine.generation(), now);
        // What hangs settles nothing, so perhaps nobody has moved the window on for long.
        self.move_window(guarded, now);
        hanging > 0 && self.knobs.slow_trips(self.held(), hanging)
    }

    #[cold]
    fn rotate(&self, now: Nanos, bucket: Nanos) {
        // Whoever holds the lock is rotating, or about to change state; either way nobody has to wait for it.
        if let Some(mut guarded) = try_lock(&self.guarded) {
            guarded.baselines.rotate(now, bucket, &self.window, &self.stripes);
        }
    }

    fn threshold_reached(&self, guarded: &mut MutexGuard<'_, Guarded>, now: Nanos) -> Option<Cause> {
        self.move_window(guarded, now);
        let hanging = self.count_hanging(guarded.machine.generation(), now);
        self.knobs.trips(self.held(), hanging, self.run.load(Relaxed))
    }

    /// Opens a closed circuit, as far as its operator lets it.
    #[expect(clippy::too_many_arguments, reason = "what opening depends on, each once")]
    fn open(
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

    fn advance(
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

    fn moved(
        &self,
        guarded: &mut MutexGuard<'_, Guarded>,
        transition: Option<Transition>,
        now: Nanos,
        effects: &mut Effects,
    ) {
        if transition.is_some_and(|transition| transition.to == CircuitState::Closed) {
            self.clear_window(guarded, now);
        }
        effects.transitions.extend(transition);
    }

    fn move_window(&self, guarded: &mut MutexGuard<'_, Guarded>, now: Nanos) {
        let bucket = self.knobs.bucket();
        if bucket != 0 {
            guarded.baselines.rotate(now, bucket, &self.window, &self.stripes);
        }
    }

    fn clear_window(&self, guarded: &mut MutexGuard<'_, Guarded>, now: Nanos) {
        self.move_window(guarded, now);
        guarded.baselines.clear(&self.window, &self.stripes);
        if let Window::Calls(calls) = guarded.policy.window {
            self.calls.store(Some(Arc::new(CallWindow::new(calls.get()))));
        }
        self.run.store(0, Relaxed);
    }

    fn apply(&self, policy: &Policy) {
        if policy.slow.is_some() {
            self.stripes.iter().for_each(|stripe| stripe.count_hanging());
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
        self.knobs.set(policy, bucket_of(policy), STEPS);
    }

    fn set_gate(&self, guarded: &MutexGuard<'_, Guarded>) {
        let kind = match guarded.machine.gate(&guarded.policy) {
            _ if guarded.imposed => CONSULT,
            Gate::Closed if guarded.keyed || self.knobs.counts_calls() => CLOSED_OTHERWISE,
            Gate::Closed if self.knobs.slow() != 0 => CLOSED_TIMED,
            Gate::Closed if self.knobs.timed() => CLOSED_OTHERWISE,
            Gate::Closed if self.knobs.windowed() => CLOSED_WINDOWED,
            Gate::Closed => CLOSED,
            Gate::Consult => CONSULT,
            Gate::Open { until } => {
                self.until.store(until, Release);
                OPEN
            }
            Gate::AllProbesOut { until } => {
                self.until.store(until, Release);
                ALL_PROBES_OUT
            }
        };
        self.gate
            .store(guarded.machine.generation() << KIND_BITS | kind, Release);
    }
}

fn refused_by(kind: u64) -> RejectReason {
    if kind == ALL_PROBES_OUT {
        RejectReason::CircuitHalfOpen
    } else {
        RejectReason::CircuitOpen
    }
}

/// The length of a sub-bucket in nanoseconds; 0 where no window of time is kept.
fn bucket_of(policy: &Policy) -> Nanos {
    match policy.window {
        Window::Time(length) if policy.needs_window() => (super::machine::nanos(length) / BUCKETS as u64).max(1),
        _ => 0,
    }
}
