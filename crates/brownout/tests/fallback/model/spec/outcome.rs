//! How one of a chain ends.

use super::super::{
    NAMES, Wrong,
    case::{Does, Part, Says},
};

/// How one of a chain fails.
pub(super) struct Failed {
    pub(super) left: Leaves,
    pub(super) kind: &'static str,
    /// What a mark says of it.
    pub(super) reason: &'static str,
    pub(super) not_sent: bool,
}

/// What remains for the caller of one that failed.
pub(super) enum Leaves {
    Answer(u32),
    /// The primary's.
    Error(Wrong),
    /// A tier's, which only the last has in common with its chain.
    TierError(Wrong),
    Nothing,
}

pub(super) type Outcome = Result<u32, Failed>;

impl Failed {
    /// One that was not asked has certainly not been sent anything.
    pub(super) fn unasked(kind: &'static str, reason: &'static str) -> Self {
        Self {
            left: Leaves::Nothing,
            kind,
            reason,
            not_sent: true,
        }
    }

    pub(super) fn timed_out() -> Self {
        Self {
            left: Leaves::Nothing,
            kind: "timed-out",
            reason: "timed-out",
            not_sent: false,
        }
    }
}

/// What one does that is given the time.
pub(super) fn outcome(place: usize, part: Part, n: u32) -> Outcome {
    let value = |says: Says| u32::try_from(place).unwrap() * 1_000_000 + says as u32 * 10_000 + n;
    let error = |error| match place {
        0 => Leaves::Error(error),
        _ => Leaves::TierError(error),
    };
    let (left, kind, reason, not_sent) = match part.does {
        Does::Answers(Says::Failure) => (
            Leaves::Answer(value(Says::Failure)),
            "failed",
            "failed",
            false,
        ),
        Does::Answers(says) => return Ok(value(says)),
        Does::Fails(says) => {
            let text = format!("{} fails: {says:?} {n}", NAMES[place]);
            (error(Wrong::Says(text)), "failed", "failed", false)
        }
        Does::Refuses(_) => (error(Wrong::Refused), "rejected", "circuit-open", true),
        Does::CannotConnect => (error(Wrong::Unreachable), "connect", "unreachable", true),
        Does::IsNotReady => (
            error(Wrong::Says("not ready".into())),
            "not-ready",
            "not-ready",
            true,
        ),
        Does::Hangs | Does::NeverReady => unreachable!("never done"),
    };
    Err(Failed {
        left,
        kind,
        reason,
        not_sent,
    })
}
