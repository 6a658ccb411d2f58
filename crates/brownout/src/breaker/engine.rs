//! The concurrent core of a circuit: a gate that the fast path reads, counts that it adds to, and the machine behind
//! a lock for everything else.
//!
//! The closed path takes no lock: it reads the gate, and adds to a stripe. When its sums say that a threshold may be
//! reached, the lock is taken and the question asked again, exactly, before anything moves. Every generation check
//! that matters happens under that lock.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use brownout_registry::{CircuitMode, CircuitState};

use crate::core::{
    RejectReason, Verdict,
    sync::{
        AtomicU8, AtomicU32, AtomicU64, Mutex, MutexGuard,
        Ordering::{Acquire, Relaxed, Release},
        lock, try_lock,
    },
};

use super::{
    counts::{BUCKETS, Baselines, CallWindow, Padded, Stripe, Stripes, Sums, TimeWindow},
    hanging::{Hanging, Steps},
    knobs::Knobs,
    machine::{Cause, Gate, Leave, Machine, Nanos, Refusal, Transition},
    pass::{
        ALL_PROBES_OUT, APART, CLOSED, CLOSED_OTHERWISE, CLOSED_TIMED, CLOSED_WINDOWED, CONSULT,
        Course, KEYED_ALL_PROBES_OUT, KEYED_OPEN, KIND, KIND_BITS, OPEN, PROBE, Pass, UNKNOWN,
        refused_by,
    },
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
    /// Whether an operator imposes a mode: then every call asks. Changed under the lock.
    imposed: AtomicU8,
    /// One of many, which nobody tells when an operator steps in: calls look for themselves.
    keyed: bool,
    knobs: Knobs,
    window: TimeWindow,
    calls: ArcSwapOption<CallWindow>,
    stripes: Stripes,
    steps: Steps,
    guarded: Mutex<Guarded>,
}

#[derive(Debug)]
struct Guarded {
    machine: Machine,
    baselines: Baselines,
    policy: Arc<Policy>,
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

impl Engine {
    pub(super) fn new(policy: &Arc<Policy>, stripes: usize) -> Self {
        Self::build(policy, Stripes::many(stripes), false)
    }

    /// One circuit of a family: without stripes, because there are many of them.
    pub(super) fn keyed(policy: &Arc<Policy>) -> Self {
        Self::build(policy, Stripes::one(), true)
    }

    fn build(policy: &Arc<Policy>, stripes: Stripes, keyed: bool) -> Self {
        let engine = Self {
            gate: AtomicU64::new(CLOSED),
            until: AtomicU64::new(0),
            run: AtomicU32::new(0),
            imposed: AtomicU8::new(0),
            keyed,
            knobs: Knobs::default(),
            window: TimeWindow::new(),
            calls: ArcSwapOption::empty(),
            stripes,
            steps: Steps::new(),
            guarded: Mutex::new(Guarded {
                machine: Machine::new(),
                baselines: Baselines::new(),
                policy: Arc::clone(policy),
            }),
        };
        engine.apply(policy, 0);
        engine.window.begin(0, bucket_of(policy));
        engine.set_gate(&lock(&engine.guarded));
        engine
    }

    /// How calls are admitted and refused, as of now.
    #[inline]
    pub(super) fn gate(&self) -> u64 {
        self.gate.load(Acquire)
    }

    /// Why a call would be refused now, if no operator has a say. Decides a service's readiness; grants nothing.
    pub(super) fn refuses(&self, clock: impl Fn() -> Nanos) -> Option<RejectReason> {
        let guarded = lock(&self.guarded);
        let (until, reason) = match guarded.machine.gate(&guarded.policy) {
            Gate::Open { until } => (until, RejectReason::CircuitOpen),
            Gate::AllProbesOut { until } => (until, RejectReason::CircuitHalfOpen),
            Gate::Closed | Gate::Consult => return None,
        };
        (clock() < until).then_some(reason)
    }

    /// For how long a call would be refused, as far as is known.
    pub(super) fn refuses_for(&self, now: Nanos) -> Option<Duration> {
        self.refuses(|| now)?;
        Some(Duration::from_nanos(
            self.until.load(Acquire).saturating_sub(now),
        ))
    }

    /// Until when a gate that refuses does so.
    #[inline]
    pub(super) fn refuses_until(&self) -> Nanos {
        self.until.load(Acquire)
    }

    /// The refusal of a call that was promised one, even if the circuit has moved on since.
    #[inline]
    pub(super) fn pass_by(&self, stripe: &Stripe, reason: RejectReason) -> Pass {
        stripe.rejected.fetch_add(1, Relaxed);
        Pass::refused(Refusal {
            reason,
            until: Some(self.refuses_until()),
        })
    }

    /// Counts a call that is admitted now where the gate takes times, unless somebody has to look for hanging calls
    /// first.
    #[inline]
    pub(super) fn admit_timed(&self, stripe: &Stripe, now: Nanos) -> Option<Course> {
        let step = self.steps.present(now)?;
        stripe.hanging()?.started(step);
        Some(Course::counted_in(step))
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
                let mut pass = Pass::new(generation << KIND_BITS | kind, now);
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

    /// The head of the answer has come, or will not: the call no longer hangs.
    #[inline]
    pub(super) fn returned(&self, stripe: &Stripe, pass: &mut Pass) {
        if pass.course.is_counted() {
            if pass.generation() == self.gate() >> KIND_BITS {
                self.ended(stripe, pass.course);
            }
            pass.course = Course::OUT;
        }
    }

    /// The same for a call of the present generation.
    #[inline]
    pub(super) fn ended(&self, stripe: &Stripe, course: Course) {
        if let Some(step) = course.step()
            && let Some(hanging) = stripe.hanging()
        {
            hanging.ended(step, self.steps.last());
        }
    }

    /// Whether a success in a window of time only has to be counted.
    #[inline]
    pub(super) fn only_counts(&self, now: Nanos) -> bool {
        self.window.only_counts_successes(now)
    }

    /// The same where the policy asks for times. `now` is read after the call.
    #[inline]
    pub(super) fn only_counts_timed(&self, at: Nanos, now: Nanos) -> bool {
        now.saturating_sub(at) < self.knobs.slow() && self.window.only_counts_successes(now)
    }

    /// Counts the failure of a call that this gate admitted, where there is a window of time and slowness does not
    /// count: as [`judged`](Self::judged) does, without what is not needed then. `Err` asks for that.
    #[inline]
    pub(super) fn failed_plainly(
        &self,
        stripe: &Padded,
        gate: u64,
        now: Nanos,
    ) -> Result<Option<Alarm>, ()> {
        if gate != self.gate() || self.window.is_over(now) {
            return Err(());
        }
        stripe.failures.fetch_add(1, Relaxed);
        let run = self.count_in_run();
        if self.window.credit.spend(&stripe.purse) {
            return Ok(None);
        }
        self.window.mark_bad();
        let seen = self.window.credit.see();
        let held = self.window.held(&self.stripes, false);
        let alarm = Alarm {
            generation: gate >> KIND_BITS,
            asked: None,
        };
        let cause = self.knobs.failures_trip(held, run);
        if cause.is_none()
            && let Some(missing) = self.knobs.missing_failures(held)
        {
            self.window
                .credit
                .grant(seen, &stripe.purse, missing, self.stripes.len());
        }
        Ok(self.looked_at(held, cause).then_some(alarm))
    }

    /// Counts a failure in the run, as far as runs are counted: far enough for every policy, and not so far that an
    /// endless one keeps all threads writing to the same line.
    #[inline]
    fn count_in_run(&self) -> u32 {
        let run = self.run.load(Relaxed);
        if run < self.knobs.counted_run() {
            self.run.fetch_add(1, Relaxed) + 1
        } else {
            run
        }
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
    #[inline]
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
            stripe.count_apart(verdict);
            return None;
        }
        let bucket = self.knobs.bucket();
        if bucket != 0 && self.window.is_over(now) {
            self.rotate(now, bucket);
        }
        if slow {
            stripe.slow.fetch_add(1, Relaxed);
        }
        let bad = verdict != Verdict::Success;
        if bad {
            stripe.failures.fetch_add(1, Relaxed);
            self.count_in_run();
            // What others were granted counted on fewer failures that somebody looks at.
            self.window.credit.void();
        } else {
            self.count_success(stripe);
        }
        if bucket != 0 {
            if bad || slow {
                self.window.mark_bad();
            } else if !self.window.is_watchful() {
                return None;
            }
        } else if self.knobs.counts_calls() {
            if let Some(calls) = &*self.calls.load() {
                calls.push(bad, slow);
            }
        } else if !bad {
            return None;
        }
        let asked = match verdict {
            Verdict::Trip { open_for } => Some(open_for),
            _ => None,
        };
        if asked.is_none() && !self.is_alarming(now) {
            return None;
        }
        Some(Alarm { generation, asked })
    }

    /// Whether a call that was dropped before it was judged counts as a failure.
    pub(super) fn abandoned_fails(&self, pass: &Pass, clock: impl Fn() -> Nanos) -> bool {
        match self.knobs.abandoned() {
            Knobs::ABANDONED_NEUTRAL => false,
            Knobs::ABANDONED_FAILS => true,
            limit => pass.course.is_out() && clock().saturating_sub(pass.at) >= limit,
        }
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
        // One probe counts once.
        let verdict =
            verdict.filter(|(_, slow)| returned || !machine.head_failed(pass.generation(), *slow));
        if let Some((verdict, slow)) = verdict {
            let transition =
                machine.probe_judged(pass.generation(), verdict, slow, now, policy, &draw);
            self.moved(&mut guarded, transition, now, &mut effects);
        }
        self.set_gate(&guarded);
        effects
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
    pub(super) fn reconfigure(
        &self,
        policy: &Arc<Policy>,
        now: Nanos,
        draw: impl Fn() -> f64,
    ) -> Effects {
        let mut effects = Effects::default();
        let mut guarded = lock(&self.guarded);
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
        // A ratio may be reached under the new policy by what is held already.
        self.window.set_watchful(true);
        self.window.credit.void();
        self.apply(policy, now);
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
        let guarded = lock(&self.guarded);
        self.imposed.store(u8::from(is_set()), Relaxed);
        self.set_gate(&guarded);
    }

    /// The stripe of that number, of as many as were asked for.
    pub(super) fn stripe(&self, number: usize) -> &Stripe {
        self.stripes.get(number)
    }

    /// The same, to be held by whoever counts there, if there are several.
    pub(super) fn share_stripe(&self, number: usize) -> Option<Arc<Padded>> {
        self.stripes.share(number)
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

    fn held(&self) -> Sums {
        if self.knobs.counts_calls() {
            return self
                .calls
                .load()
                .as_ref()
                .map_or_else(Sums::default, |calls| calls.held());
        }
        self.window.held(&self.stripes, self.knobs.slow() != 0)
    }

    /// Looks at the sums without the lock. What is found here is asked again under it.
    #[inline]
    fn is_alarming(&self, now: Nanos) -> bool {
        let run = self.run.load(Relaxed);
        if !self.knobs.windowed() {
            return self.knobs.run_trips(run).is_some();
        }
        let held = self.held();
        let cause = self.knobs.trips(held, self.count_hanging(now), run);
        self.looked_at(held, cause)
    }

    /// Notes how closely successes have to be looked at from now on; says whether a threshold is reached.
    #[inline]
    fn looked_at(&self, held: Sums, cause: Option<Cause>) -> bool {
        if cause.is_some() {
            // Reached, and perhaps not acted on while an operator forbids it: the next outcome looks again.
            self.window.set_watchful(true);
        } else if held.calls() >= self.knobs.minimum() {
            self.window.set_watchful(false);
        }
        cause.is_some()
    }

    #[inline]
    fn count_hanging(&self, now: Nanos) -> u32 {
        let step = self.knobs.step();
        if step == 0 {
            0
        } else {
            self.count_hanging_by(step, now)
        }
    }

    #[inline(never)]
    fn count_hanging_by(&self, step: Nanos, now: Nanos) -> u32 {
        let (last, passed) = (self.steps.last(), self.steps.passed(now, step));
        let out: i64 = self
            .hanging()
            .map(|hanging| hanging.count(last, passed))
            .sum();
        u32::try_from(out.max(0)).unwrap_or(u32::MAX)
    }

    fn hanging(&self) -> impl Iterator<Item = &Hanging> {
        self.stripes.iter().filter_map(|stripe| stripe.hanging())
    }

    /// Whether calls that hang reach the slow ratio. Asked by the first admission in each step of the threshold:
    /// within a step no further call comes to count as hanging.
    fn hanging_trips(&self, guarded: &mut MutexGuard<'_, Guarded>, now: Nanos) -> bool {
        let step = self.knobs.step();
        if step == 0 || !self.steps.move_on(now, step, self.hanging()) {
            return false;
        }
        let hanging = self.count_hanging(now);
        // What hangs settles nothing, so perhaps nobody has moved the window on for long.
        self.move_window(guarded, now);
        hanging > 0 && self.knobs.slow_trips(self.held(), hanging)
    }

    #[cold]
    fn rotate(&self, now: Nanos, bucket: Nanos) {
        // Whoever holds the lock is rotating, or about to change state; either way nobody has to wait for it.
        if let Some(mut guarded) = try_lock(&self.guarded) {
            guarded
                .baselines
                .rotate(now, bucket, &self.window, &self.stripes);
        }
    }

    fn threshold_reached(
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
            self.hanging().for_each(Hanging::clear);
            self.clear_window(guarded, now);
        }
        effects.transitions.extend(transition);
    }

    fn move_window(&self, guarded: &mut MutexGuard<'_, Guarded>, now: Nanos) {
        let bucket = self.knobs.bucket();
        if bucket != 0 {
            guarded
                .baselines
                .rotate(now, bucket, &self.window, &self.stripes);
        }
    }

    fn clear_window(&self, guarded: &mut MutexGuard<'_, Guarded>, now: Nanos) {
        self.move_window(guarded, now);
        guarded.baselines.clear(&self.window, &self.stripes);
        if let Window::Calls(calls) = guarded.policy.window {
            self.calls
                .store(Some(Arc::new(CallWindow::new(calls.get()))));
        }
        self.run.store(0, Relaxed);
    }

    fn apply(&self, policy: &Policy, now: Nanos) {
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

    fn set_gate(&self, guarded: &MutexGuard<'_, Guarded>) {
        let kind = match guarded.machine.gate(&guarded.policy) {
            _ if self.imposed.load(Relaxed) != 0 => CONSULT,
            Gate::Closed if self.keyed || self.knobs.counts_calls() => CLOSED_OTHERWISE,
            Gate::Closed if self.knobs.slow() != 0 => CLOSED_TIMED,
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
fn bucket_of(policy: &Policy) -> Nanos {
    match policy.window {
        Window::Time(length) if policy.needs_window() => {
            (super::machine::nanos(length) / BUCKETS as u64).max(1)
        }
        _ => 0,
    }
}
