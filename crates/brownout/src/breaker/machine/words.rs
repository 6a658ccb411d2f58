//! What the machine is asked and what it says.

use std::time::Duration;

use brownout_registry::CircuitState;

use crate::core::RejectReason;

/// Nanoseconds since the circuit was made.
pub(in crate::breaker) type Nanos = u64;

/// What moved the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::breaker) enum Cause {
    /// The share of failures in the window reached its threshold.
    FailureRatio,
    /// Too many failures without a success between them.
    ConsecutiveFailures,
    /// The share of slow calls in the window reached its threshold.
    SlowRatio,
    /// The dependency asked to be left alone ([`Verdict::Trip`]).
    Asked,
    /// The open time is over; the next call is a probe.
    Due,
    /// Enough probes failed, or one had when the round ended.
    ProbeFailed,
    /// No probe was answered within the lease.
    NothingAnswered,
    /// Enough probes succeeded.
    ProbesSucceeded,
    /// The round ended with an answer and without a failure.
    Answered,
    /// One of a family made room: nobody had called for it since long before.
    Forgotten,
}

impl Cause {
    /// The cause in words, as it appears in logs and events.
    pub(in crate::breaker) const fn as_str(self) -> &'static str {
        match self {
            Self::FailureRatio => "failure ratio",
            Self::ConsecutiveFailures => "consecutive failures",
            Self::SlowRatio => "slow ratio",
            Self::Asked => "asked by the dependency",
            Self::Due => "open time over",
            Self::ProbeFailed => "probe failed",
            Self::NothingAnswered => "no probe answered",
            Self::ProbesSucceeded => "probes succeeded",
            Self::Answered => "probe answered",
            Self::Forgotten => "not called any more",
        }
    }
}

/// A change of state, to be told to the registry once no lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::breaker) struct Transition {
    pub(in crate::breaker) from: CircuitState,
    pub(in crate::breaker) to: CircuitState,
    pub(in crate::breaker) cause: Cause,
    pub(in crate::breaker) generation: u64,
    pub(in crate::breaker) at: Nanos,
    /// For open: when a probe is due. For half-open: when the round ends.
    pub(in crate::breaker) until: Nanos,
    /// The same of the state it leaves.
    pub(in crate::breaker) was_until: Option<Nanos>,
}

/// Leave to make one call, in the generation that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::breaker) enum Leave {
    Ordinary { generation: u64 },
    Probe { generation: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::breaker) struct Refusal {
    pub(in crate::breaker) reason: RejectReason,
    /// When it is worth trying again, where that is known.
    pub(in crate::breaker) until: Option<Nanos>,
}

/// What the fast path has to know: whether calls pass, are refused until some time, or must ask the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::breaker) enum Gate {
    Closed,
    Open { until: Nanos },
    AllProbesOut { until: Nanos },
    Consult,
}

#[inline]
pub(in crate::breaker) fn nanos(duration: Duration) -> Nanos {
    // Cheaper than `as_nanos`, which is 128 bits wide; 64 last for 584 years.
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(duration.subsec_nanos()))
}
