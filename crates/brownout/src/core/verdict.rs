use std::time::Duration;

/// What one call says about the dependency that answered it.
///
/// A call that is dropped before it could be judged has no verdict: it is *abandoned*, and each pattern documents
/// what it makes of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The dependency did its work.
    Success,
    /// The dependency failed.
    Failure,
    /// The answer says nothing about the dependency's health (a 404, a cancelled call, a refusal of our own).
    /// It changes no count.
    Neutral,
    /// The dependency failed and said for how long it wants to be left alone, as a 503 with `Retry-After` does.
    /// One such verdict opens a circuit.
    Trip {
        /// How long to stay away. A circuit clamps it to its longest open time.
        open_for: Duration,
    },
}

impl Verdict {
    /// Whether the verdict speaks against the dependency: `Failure` or `Trip`.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failure | Self::Trip { .. })
    }
}
