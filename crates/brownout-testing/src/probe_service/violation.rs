//! Tower's contract, broken.

use std::fmt;

/// A breach of tower's contract that a probe has seen.
///
/// `Display` gives the whole sentence: the law, and what was done instead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// `call` came on an instance that had not been polled ready since its last `call`.
    CalledUnready {
        /// The instance, numbered from 0 (the first) in the order they were made.
        instance: u64,
        /// What had happened to that instance before.
        standing: Standing,
    },
    /// A future was polled after it had completed or panicked.
    PolledAfterEnd {
        /// The call, numbered from 0.
        call: u64,
        /// Whether the future ended by a panic rather than an answer.
        panicked: bool,
    },
}

/// What an instance of a probe has been asked so far, as far as it matters for the next `call`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// Made by `new`, and not polled.
    New,
    /// Made by `clone`, and not polled.
    Cloned,
    /// The last `poll_ready` returned `Ready(Ok(()))`.
    Ready,
    /// The last `poll_ready` returned `Pending`.
    Pending,
    /// The last `poll_ready` returned `Ready(Err(_))`.
    Failed,
    /// Its readiness was used up by a `call`.
    Called,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "was never polled",
            Self::Cloned => "is a clone and was never polled (a clone copies no readiness)",
            Self::Ready => "was ready",
            Self::Pending => "had last said Pending",
            Self::Failed => "had last failed",
            Self::Called => "has used its readiness for an earlier call",
        })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CalledUnready { instance, standing } => write!(
                f,
                "law of tower broken: `call` may only come after `poll_ready` returned Ready(Ok) on that same instance \
                 since its last call; instance {instance} {standing}"
            ),
            Self::PolledAfterEnd { call, panicked } => write!(
                f,
                "law of futures broken: a future may not be polled after it has ended; that of call {call} had {}",
                if *panicked { "panicked" } else { "completed" }
            ),
        }
    }
}
