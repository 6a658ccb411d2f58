//! What a gate says about calls, and what a ticket remembers of it.

use crate::core::RejectReason;

use super::machine::{Nanos, Refusal};

/// Closed, and a success only has to be counted and to end a run of failures.
pub(super) const CLOSED: u64 = 0;
/// Closed, with a window of time.
pub(super) const CLOSED_WINDOWED: u64 = 1;
/// Closed, with a window of time, and slow calls count.
pub(super) const CLOSED_TIMED: u64 = 2;
/// Closed, as [`CLOSED`] or [`CLOSED_WINDOWED`], and somebody wants to know how long calls take.
pub(super) const CLOSED_METERED: u64 = 3;
/// Closed, but not as simple: a window of calls, one of a family.
pub(super) const CLOSED_OTHERWISE: u64 = 4;
/// The machine decides, or an operator does.
pub(super) const CONSULT: u64 = 5;
pub(super) const OPEN: u64 = 6;
pub(super) const ALL_PROBES_OUT: u64 = 7;
/// Not of the gate, but of passes: admitted as a probe.
pub(super) const PROBE: u64 = 12;
/// Likewise: admitted by an operator's mode against the circuit's own will. Counted in the totals, moves nothing.
pub(super) const APART: u64 = 8;
/// Likewise: never made. The reason takes the generation's place.
pub(super) const REFUSED: u64 = 9;
/// As [`OPEN`] and [`ALL_PROBES_OUT`] in a family, whose circuits nobody tells when an operator steps in.
pub(super) const KEYED_OPEN: u64 = 10;
pub(super) const KEYED_ALL_PROBES_OUT: u64 = 11;

pub(super) const KIND_BITS: u32 = 4;
pub(super) const KIND: u64 = (1 << KIND_BITS) - 1;

/// Whether such a gate refuses by itself until its time is over, without an operator or the machine.
#[inline]
pub(super) const fn refuses_plainly(gate: u64) -> bool {
    gate & (KIND - 1) == OPEN
}

/// Whether a gate that refuses does so because all probes are out.
#[inline]
pub(super) const fn is_half_open(gate: u64) -> bool {
    gate & ALL_PROBES_OUT & !OPEN != 0
}

#[inline]
pub(super) fn refused_by(gate: u64) -> RejectReason {
    if is_half_open(gate) {
        RejectReason::CircuitHalfOpen
    } else {
        RejectReason::CircuitOpen
    }
}

/// What a ticket remembers of its admission, or of its refusal.
///
/// Three plain words, each of which fits a register: where a call is not inlined they are handed over one by one,
/// because a reference to all of them would force them into memory on the shortest way too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    /// The gate that admitted the call, or its generation with the kind of pass.
    pub(super) gate: u64,
    /// When the call was admitted. Of a refused call: when it is worth trying again. [`UNKNOWN`] where nobody asked.
    pub(super) at: Nanos,
    pub(super) course: Course,
}

/// How far a call has got. While it is out, this also says in which step it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Course(u64);

/// Later than everything: no time is a long time after it.
pub(super) const UNKNOWN: Nanos = Nanos::MAX;

impl Course {
    /// The call is out, and not counted among those that might hang.
    pub(super) const OUT: Self = Self(0);
    /// The head of its answer has come, in time or late.
    pub(super) const HEADED: Self = Self(1);
    pub(super) const HEADED_LATE: Self = Self(2);
    const FIRST: u64 = 3;

    /// The call is out, and counted in that step.
    #[inline]
    pub(super) const fn counted_in(step: u64) -> Self {
        Self(step + Self::FIRST)
    }

    #[inline]
    pub(super) const fn is_counted(self) -> bool {
        self.0 >= Self::FIRST
    }

    /// The step in which the call is counted.
    #[inline]
    pub(super) fn step(self) -> Option<u64> {
        self.0.checked_sub(Self::FIRST)
    }

    #[inline]
    pub(super) fn is_out(self) -> bool {
        self != Self::HEADED && self != Self::HEADED_LATE
    }
}

impl Pass {
    #[inline]
    pub(super) const fn new(gate: u64, at: Nanos) -> Self {
        Self {
            gate,
            at,
            course: Course::OUT,
        }
    }

    #[inline]
    pub(super) fn refused(refusal: Refusal) -> Self {
        let reason = match refusal.reason {
            RejectReason::CircuitOpen => 0,
            RejectReason::CircuitHalfOpen => 1,
            RejectReason::CircuitRamping => 2,
            RejectReason::CircuitForcedOpen => 3,
            // Not ready: a circuit refuses for no other reason.
            _ => 4,
        };
        Self::new(
            reason << KIND_BITS | REFUSED,
            refusal.until.unwrap_or(UNKNOWN),
        )
    }

    /// Why the call was refused, if it was.
    #[inline]
    pub(super) fn refusal(&self) -> Option<Refusal> {
        if !self.is_refused() {
            return None;
        }
        let reason = match self.gate >> KIND_BITS {
            0 => RejectReason::CircuitOpen,
            1 => RejectReason::CircuitHalfOpen,
            2 => RejectReason::CircuitRamping,
            3 => RejectReason::CircuitForcedOpen,
            _ => RejectReason::NotReady,
        };
        Some(Refusal {
            reason,
            until: (self.at != UNKNOWN).then_some(self.at),
        })
    }

    #[inline]
    pub(super) fn is_refused(&self) -> bool {
        self.gate & KIND == REFUSED
    }

    #[inline]
    pub(super) fn is_refused_as_open(&self) -> bool {
        self.gate == REFUSED
    }

    pub(super) fn is_probe(&self) -> bool {
        self.gate & KIND == PROBE
    }

    /// The generation of the closed circuit that admitted the call.
    #[inline]
    pub(super) fn ordinary(&self) -> Option<u64> {
        (self.gate & KIND <= CLOSED_OTHERWISE).then_some(self.gate >> KIND_BITS)
    }

    pub(super) fn generation(&self) -> u64 {
        self.gate >> KIND_BITS
    }
}
