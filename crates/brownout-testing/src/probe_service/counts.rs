//! What a probe has seen so far.

/// A picture of everything a probe counts, taken at one moment.
///
/// A call is *in flight* from `call` until its future completes, panics or is dropped, so
/// `calls == completed + dropped + panicked + in_flight` holds at every moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// `poll_ready` calls, of all instances.
    pub ready_polls: usize,
    /// `call`s that kept the contract.
    pub calls: usize,
    /// Calls whose future completed, with an answer or an error.
    pub completed: usize,
    /// Calls whose future was dropped before it completed.
    pub dropped: usize,
    /// Calls that panicked, in `call` or while polled.
    pub panicked: usize,
    /// Calls in flight now.
    pub in_flight: usize,
    /// The most calls that were ever in flight at once.
    pub peak_in_flight: usize,
    /// Instances that are ready and not yet called: capacity somebody holds on to.
    pub reserved: usize,
    /// Clones made of the first instance or of its clones.
    pub clones: usize,
    /// Instances alive now.
    pub instances: usize,
    /// Instances dropped.
    pub instances_dropped: usize,
    /// Polls of all futures together.
    pub future_polls: usize,
}

impl Counts {
    /// Whether nothing is in flight and nothing reserved.
    pub const fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.reserved == 0
    }

    pub(super) fn call_started(&mut self) {
        self.calls += 1;
        self.in_flight += 1;
        self.peak_in_flight = self.peak_in_flight.max(self.in_flight);
    }
}
