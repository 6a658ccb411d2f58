//! The word that every call reads: a flag's generation, and all that decides at rest.
//!
//! Where it is plain, reading it is all that a reader does. Else the clock, an operator's order or the system's level
//! has a say, and the reader looks closer.

use brownout_registry::FeatureState;

use super::{
    automatic::{Automatic, Course},
    parts::Parts,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

/// What the flag itself makes of things: the worse of what is configured and what is automatic.
const REST: u64 = 0b11;
/// The system's level may make it worse.
const GATED: u64 = 1 << 2;
/// Somebody imposes a state.
const IMPOSED: u64 = 1 << 3;
/// What is automatic ends by itself at a deadline.
const TIMED: u64 = 1 << 4;
/// A share of calls is turned away.
const RAMPING: u64 = 1 << 5;
/// The effective state that was announced last.
const TOLD: u32 = 6;
/// What is configured.
const CONFIGURED: u32 = 8;

const BITS: u32 = 10;

/// With any of these, a reader looks closer.
const CLOSER: u64 = GATED | IMPOSED | TIMED;

impl Word {
    pub(super) fn new(automatic: &Automatic, parts: Parts, gated: bool) -> Self {
        let rest = parts.automatic.max(parts.configured);
        let mut word = automatic.generation() << BITS;
        word |= rest as u64;
        word |= (parts.effective() as u64) << TOLD | (parts.configured as u64) << CONFIGURED;
        if gated {
            word |= GATED;
        }
        if parts.imposed.is_some() {
            word |= IMPOSED;
        }
        match automatic.course() {
            Course::Clear => {}
            Course::Tripped { .. } => word |= TIMED,
            Course::Ramping { .. } => word |= TIMED | RAMPING,
        }
        Self(word)
    }

    /// Enabled, whatever the time, the level and whoever looks.
    #[inline]
    pub(super) fn is_plainly_enabled(self) -> bool {
        self.0 & ((1 << BITS) - 1) == 0
    }

    /// Whether the word says it all.
    #[inline]
    pub(super) fn is_plain(self) -> bool {
        self.0 & CLOSER == 0
    }

    #[inline]
    pub(super) fn rest(self) -> FeatureState {
        state(self.0 & REST)
    }

    pub(super) fn told(self) -> FeatureState {
        state(self.0 >> TOLD & REST)
    }

    pub(super) fn configured(self) -> FeatureState {
        state(self.0 >> CONFIGURED & REST)
    }

    pub(super) fn is_gated(self) -> bool {
        self.0 & GATED != 0
    }

    pub(super) fn is_imposed(self) -> bool {
        self.0 & IMPOSED != 0
    }

    pub(super) fn is_timed(self) -> bool {
        self.0 & TIMED != 0
    }

    pub(super) fn is_ramping(self) -> bool {
        self.0 & RAMPING != 0
    }

    /// Whether calls may fail without moving anything: enough of them have.
    pub(super) fn is_tripped(self) -> bool {
        self.0 & (TIMED | RAMPING) == TIMED
    }

    /// Whether an outcome of a call that `self` let in belongs to the generation of `present`.
    #[inline]
    pub(super) fn is_of(self, present: Self) -> bool {
        (self.0 ^ present.0) >> BITS == 0
    }
}

#[inline]
fn state(code: u64) -> FeatureState {
    match code {
        0 => FeatureState::Enabled,
        1 => FeatureState::Degraded,
        _ => FeatureState::Disabled,
    }
}
