//! One reading of one instrument, or the reason why there is none.

use serde::{Serialize, Serializer};

/// A figure, or why it is missing.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure<T> {
    /// The instrument gave it.
    Known(T),
    /// The instrument cannot give it here; the text completes "not measured: …".
    Unknown(String),
    /// Nobody asked: the option that would take it is off, or it means nothing for this subject.
    Skipped,
}

impl<T> Figure<T> {
    /// The figure, if there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(figure) => Some(figure),
            Self::Unknown(_) | Self::Skipped => None,
        }
    }

    /// Whether the instrument was asked and could not answer, and why.
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(reason) => Some(reason),
            Self::Known(_) | Self::Skipped => None,
        }
    }
}

/// In JSON a figure is a value, `{"not_measured": "reason"}`, or `null` when nobody asked.
impl<T: Serialize> Serialize for Figure<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Missing<'a> {
            not_measured: &'a str,
        }
        match self {
            Self::Known(figure) => figure.serialize(serializer),
            Self::Unknown(reason) => Missing {
                not_measured: reason,
            }
            .serialize(serializer),
            Self::Skipped => serializer.serialize_none(),
        }
    }
}

/// Calls a second of two threads on clones of one instance ÷ those of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scaling {
    /// The subject's own.
    pub ratio: f64,
    /// That of two private counters in the same run: what this machine gives at this moment.
    pub control: f64,
}

impl Scaling {
    /// The share of what the machine gives that the subject takes.
    pub fn share(&self) -> f64 {
        self.ratio / self.control
    }
}

/// Nanoseconds a call, over many batches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Nanoseconds {
    /// The tenth percentile: what a call takes when the machine leaves it alone.
    pub p10: f64,
    /// The ninetieth percentile: how noisy the machine was.
    pub p90: f64,
}

/// Everything that is known of one subject in one shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Instructions a call, rounded.
    pub instructions: Figure<u64>,
    /// Allocations a call; reallocations count.
    pub allocations: Figure<f64>,
    /// Two threads ÷ one.
    pub scaling: Figure<Scaling>,
    /// Nanoseconds a call.
    pub time: Figure<Nanoseconds>,
}

/// `part ÷ whole`, for counts of calls: far below the 2^53 at which an `f64` would round them.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of calls stay far below 2^53"
)]
pub fn quotient(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
