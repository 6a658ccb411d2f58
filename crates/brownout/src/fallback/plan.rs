use std::time::Duration;

use super::{cause::Cause, watch::Watch};

/// What a call needs to know of its chain besides the tiers.
#[derive(Clone, Debug)]
pub struct Plan<J, Q> {
    pub(super) judge: J,
    pub(super) requests: Q,
    pub(super) watch: Option<Watch>,
    pub(super) within: Option<Duration>,
    /// Whether failures are to be timed though there is no deadline.
    pub(super) timed: bool,
}

impl<J, Q> Plan<J, Q> {
    /// A refusal by the guard of another dependency than the one that this chain covers comes from somewhere inside
    /// the primary, which may have done part of its work before: it proves nothing.
    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    pub(super) fn trusted(&self, cause: Cause) -> Cause {
        match (&self.watch, cause.refusal()) {
            (Some(watch), Some(refusal)) if refusal.dependency() != watch.dependency().name() => {
                cause.unproven()
            }
            _ => cause,
        }
    }
}
