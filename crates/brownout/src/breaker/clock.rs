//! Where a circuit's time comes from.

use brownout_registry::Ticks;
use tokio::time::Instant;

use super::machine::Nanos;

/// Tells nanoseconds since the circuit was made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// Tokio's, which tests can pause.
    Tokio(Ticks),
    /// The kernel's coarse monotonic clock: cheaper, and up to a tick (1 to 4 ms) behind. Not paused by tests.
    #[cfg(feature = "coarse-clock")]
    Coarse(coarsetime::Instant),
}

impl Clock {
    pub(super) fn tokio(epoch: Instant) -> Self {
        Self::Tokio(Ticks::since(epoch))
    }

    #[cfg(feature = "coarse-clock")]
    pub(super) fn coarse() -> Self {
        Self::Coarse(coarsetime::Instant::now())
    }

    #[inline]
    pub(super) fn now(&self) -> Nanos {
        // The common kind alone is asked for first: it is one comparison, whatever other kinds there are.
        #[allow(
            irrefutable_let_patterns,
            reason = "without the coarse clock there is one kind"
        )]
        if let Self::Tokio(ticks) = self
            && ticks.listens()
        {
            ticks.heard()
        } else {
            self.otherwise()
        }
    }

    // Not inlined: the compiler would have what all kinds read in common read before the clock, and kept meanwhile.
    #[inline(never)]
    fn otherwise(&self) -> Nanos {
        match self {
            Self::Tokio(ticks) => ticks.now(),
            #[cfg(feature = "coarse-clock")]
            Self::Coarse(origin) => coarsetime::Instant::now()
                .duration_since(*origin)
                .as_nanos(),
        }
    }
}
