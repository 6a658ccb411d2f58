//! What a ticket holds on to: one stripe of one circuit.
//!
//! Threads take the cell of their own stripe, so that admitting and settling touch no reference count that another
//! thread touches too.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use brownout_registry::{CircuitMode, Dependency};
use tokio::time::Instant;

use crate::core::{Origin, RejectReason, Rejected, Verdict, span};

use super::{
    counts::{Padded, Stripe},
    engine::Alarm,
    machine::{Nanos, Refusal, nanos},
    pass::{CLOSED, CLOSED_METERED, CLOSED_TIMED, CLOSED_WINDOWED, Course, KIND, Pass, UNKNOWN},
    shared::Core,
    voice,
};

pub(super) struct Cell {
    pub(super) core: Arc<Core>,
    /// The thread's own, at hand, if there are several.
    stripe: Option<Arc<Padded>>,
    origin: Origin,
}

impl Cell {
    pub(super) fn new(core: Arc<Core>, stripe: usize) -> Self {
        let origin = Origin::new(&core.shared.dependency, core.shared.epoch);
        Self::with_origin(core, stripe, origin)
    }

    pub(super) fn with_origin(core: Arc<Core>, stripe: usize, origin: Origin) -> Self {
        Self {
            stripe: core.engine.share_stripe(stripe),
            core,
            origin,
        }
    }

    pub(super) fn dependency(&self) -> &Dependency {
        &self.core.shared.dependency
    }

    #[inline]
    pub(super) fn now(&self) -> Nanos {
        self.core.now()
    }

    #[inline]
    fn stripe(&self) -> &Stripe {
        match &self.stripe {
            Some(stripe) => stripe,
            None => self.core.engine.stripe(0),
        }
    }

    /// For how long, as far as is known: until a probe is due, or an operator's order ends.
    pub(super) fn refuses_for(&self) -> Option<Duration> {
        match self.core.shared.mode.get() {
            Some(imposed) => (imposed.value == CircuitMode::ForcedOpen)
                .then(|| imposed.until.saturating_duration_since(Instant::now())),
            None => self.core.engine.refuses_for(self.now()),
        }
    }

    /// The refusal of a call whose service was made ready by passing it by.
    #[inline]
    pub(super) fn pass_by(&self, reason: RejectReason) -> Pass {
        if reason != RejectReason::CircuitOpen || self.stripe.is_none() {
            self.core.shared.metering.refused(reason);
        }
        self.core.engine.pass_by(self.stripe(), reason)
    }

    /// The same where an operator holds the circuit open.
    #[cold]
    pub(super) fn pass_by_order(&self) -> Pass {
        let pass = self.pass_by(RejectReason::CircuitForcedOpen);
        let imposed = self.core.shared.mode.get();
        imposed.map_or(pass, |imposed| {
            Pass::refused(self.forced_open(imposed.until))
        })
    }

    /// The refusal of a call whose service did not become ready in time.
    #[cold]
    pub(super) fn not_ready(&self) -> Pass {
        self.core.shared.metering.refused(RejectReason::NotReady);
        Pass::refused(Refusal {
            reason: RejectReason::NotReady,
            until: None,
        })
    }

    /// The shortest way in, for a closed circuit that nobody steers. `None` asks for [`admit`](Self::admit).
    #[allow(clippy::inline_always, reason = "see `CircuitBreaker::poll_ready`")]
    #[inline(always)]
    pub(super) fn admit_plainly(&self) -> Option<Pass> {
        let gate = self.core.engine.gate();
        let mut pass = Pass::new(gate, UNKNOWN);
        if gate & KIND > CLOSED_WINDOWED {
            if gate & KIND == CLOSED_TIMED {
                (pass.at, pass.course) = self.admit_timed();
                if !pass.course.is_counted() {
                    return None;
                }
            } else if gate & KIND == CLOSED_METERED {
                pass.at = self.now();
            } else {
                return None;
            }
        }
        Some(pass)
    }

    /// When the call is admitted, and where it is counted, if that needs no closer look.
    #[inline(never)]
    fn admit_timed(&self) -> (Nanos, Course) {
        let now = self.now();
        let stripe = self.stripe.as_ref();
        let course = stripe.and_then(|stripe| self.core.engine.admit_timed(stripe, now));
        (now, course.unwrap_or(Course::OUT))
    }

    #[inline(never)]
    pub(super) fn admit(&self) -> Pass {
        let mut pass = self.decided();
        let (metering, is_keyed) = (&self.core.shared.metering, self.stripe.is_none());
        if pass.is_refused() {
            if (!pass.is_refused_as_open() || is_keyed)
                && let Some(refusal) = pass.refusal()
            {
                metering.refused(refusal.reason);
            }
        } else if is_keyed && pass.at == UNKNOWN && metering.times_calls() {
            pass.at = self.now();
        }
        pass
    }

    #[inline]
    fn decided(&self) -> Pass {
        if !self.core.shared.mode.is_set()
            && let Some(pass) = self.core.engine.admit_fast(self.stripe(), || self.now())
        {
            return pass;
        }
        self.admit_slowly()
    }

    #[cold]
    fn admit_slowly(&self) -> Pass {
        let imposed = self.core.shared.mode.get();
        let mode = imposed.map(|imposed| imposed.value);
        let (pass, effects) = self
            .core
            .engine
            .admit(self.stripe(), mode, self.now(), self.draw());
        self.core.tell(&effects);
        match imposed {
            Some(imposed) if pass.refusal().is_some() => {
                Pass::refused(self.forced_open(imposed.until))
            }
            _ => pass,
        }
    }

    /// A service has failed, or taken too long, to become ready: a failure without a call.
    #[cold]
    pub(super) fn failed_readiness(&self) {
        let (pass, effects) = self
            .core
            .engine
            .admit_failure(self.mode(), self.now(), self.draw());
        self.core.tell(&effects);
        if let Some(pass) = pass {
            self.settled(pass, Verdict::Failure);
        }
    }

    /// The head of an answer has come.
    pub(super) fn headed(&self, pass: &mut Pass, head: Verdict) {
        let engine = &self.core.engine;
        engine.returned(self.stripe(), pass);
        let slow = engine.is_slow(pass, self.now());
        pass.course = if slow {
            Course::HEADED_LATE
        } else {
            Course::HEADED
        };
        if pass.is_probe() {
            let verdict = Some((head, slow));
            self.core
                .tell(&engine.probe(pass, true, verdict, self.now(), self.draw()));
        }
    }

    /// The short ways out, for a success that only has to be counted: says whether it was.
    #[allow(clippy::inline_always, reason = "see `CircuitBreaker::poll_ready`")]
    #[inline(always)]
    pub(super) fn succeeded(&self, gate: u64, at: impl Fn() -> Nanos, course: &mut Course) -> bool {
        let Some(stripe) = &self.stripe else {
            return false;
        };
        let engine = &self.core.engine;
        // The gate that admitted the call still stands, so its generation is the present one.
        let stands = gate == engine.gate();
        let kind = gate & KIND;
        // Asked first, because whoever has admitted the call knows the answer.
        if course.is_counted() {
            return stands
                && kind == CLOSED_TIMED
                && self.succeeded_in_time(stripe, at(), std::mem::replace(course, Course::OUT));
        }
        let plain = stands
            && (kind == CLOSED || (kind == CLOSED_WINDOWED && engine.only_counts(self.now())));
        if plain {
            engine.count_success(stripe);
            return true;
        }
        stands && kind == CLOSED_METERED && self.succeeded_metered(stripe, at())
    }

    /// The same where somebody wants to know how long the call took.
    #[inline(never)]
    fn succeeded_metered(&self, stripe: &Stripe, at: Nanos) -> bool {
        let engine = &self.core.engine;
        let now = self.now();
        let plain = engine.only_counts_metered(now);
        if plain {
            engine.count_success(stripe);
            self.took(at, now);
        }
        plain
    }

    #[inline]
    fn took(&self, at: Nanos, now: Nanos) {
        self.core.shared.metering.took(now.saturating_sub(at));
    }

    /// The same where the gate takes times. In any case the call no longer hangs.
    #[inline(never)]
    fn succeeded_in_time(&self, stripe: &Stripe, at: Nanos, course: Course) -> bool {
        let engine = &self.core.engine;
        // Before the clock is read: then there is less to keep meanwhile.
        engine.ended(stripe, course);
        let now = self.now();
        let plain = engine.only_counts_timed(at, now);
        if plain {
            engine.count_success(stripe);
            if engine.is_metered() {
                self.took(at, now);
            }
        }
        plain
    }

    /// A failure that only has to be counted and looked at: says whether that was enough.
    #[inline(never)]
    pub(super) fn failed_plainly(&self, gate: u64) -> bool {
        let Some(stripe) = &self.stripe else {
            return false;
        };
        match self.core.engine.failed_plainly(stripe, gate, self.now()) {
            Ok(None) => {}
            Ok(Some(alarm)) => self.trip(alarm),
            Err(()) => return false,
        }
        if span::is_traced() {
            voice::called(&self.core, "failure");
        }
        true
    }

    pub(super) fn settled(&self, mut pass: Pass, verdict: Verdict) {
        let engine = &self.core.engine;
        let now = if engine.judges_by_time() || pass.at != UNKNOWN {
            self.now()
        } else {
            0
        };
        let pass = &mut pass;
        let metering = &self.core.shared.metering;
        if pass.at != UNKNOWN {
            self.took(pass.at, now);
        }
        if self.stripe.is_none() {
            metering.judged(verdict);
        }
        let slow = if pass.course.is_out() {
            engine.returned(self.stripe(), pass);
            engine.is_slow(pass, now)
        } else {
            pass.course == Course::HEADED_LATE
        };
        if !pass.is_probe() {
            if let Some(alarm) = engine.judged(self.stripe(), pass, verdict, slow, now) {
                self.trip(alarm);
            }
        } else if pass.course.is_out() || verdict.is_failure() {
            self.probe_settled(pass, verdict, slow);
        } else {
            // The head has already spoken for it.
            self.stripe().count_apart(verdict);
        }
    }

    pub(super) fn abandoned(&self, mut pass: Pass) {
        if pass.refusal().is_some() {
            return;
        }
        let engine = &self.core.engine;
        engine.returned(self.stripe(), &mut pass);
        if engine.abandoned_fails(&pass, || self.now()) {
            self.settled(pass, Verdict::Failure);
            return;
        }
        self.stripe().abandoned.fetch_add(1, Relaxed);
        if self.stripe.is_none() {
            self.core.shared.metering.abandoned();
        }
        if pass.is_probe() && pass.course.is_out() {
            self.core
                .tell(&engine.probe(&pass, true, None, self.now(), self.draw()));
        }
    }

    /// What an operator imposes.
    pub(super) fn mode(&self) -> Option<CircuitMode> {
        self.core.shared.mode.get().map(|imposed| imposed.value)
    }

    pub(super) fn draw(&self) -> impl Fn() -> f64 {
        || self.core.shared.random.unit()
    }

    #[cold]
    fn trip(&self, alarm: Alarm) {
        let effects = self
            .core
            .engine
            .trip(alarm, self.mode(), self.now(), self.draw());
        self.core.tell(&effects);
    }

    #[cold]
    fn probe_settled(&self, pass: &Pass, verdict: Verdict, slow: bool) {
        let engine = &self.core.engine;
        self.stripe().count_apart(verdict);
        let returned = pass.course.is_out();
        let verdict = Some((verdict, slow));
        self.core
            .tell(&engine.probe(pass, returned, verdict, self.now(), self.draw()));
    }

    fn forced_open(&self, until: Instant) -> Refusal {
        let left = until.saturating_duration_since(Instant::now());
        let at = self
            .now()
            .saturating_add(nanos(left.min(FORCED_RETRY_AFTER)));
        Refusal {
            reason: RejectReason::CircuitForcedOpen,
            until: Some(at),
        }
    }

    pub(super) fn rejected(&self, refusal: Refusal) -> Rejected {
        if span::is_traced() {
            voice::called(&self.core, refusal.reason.as_str());
        }
        Rejected::at(self.origin.clone(), refusal.reason, refusal.until)
    }
}

/// What refused callers are told at most while an operator holds a circuit open, which may be for days.
const FORCED_RETRY_AFTER: Duration = Duration::from_mins(1);
