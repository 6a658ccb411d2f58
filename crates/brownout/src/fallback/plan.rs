use super::{cause::Cause, watch::Watch};

/// What a call needs to know of its chain besides the tiers.
#[derive(Clone, Debug)]
pub struct Plan<J, Q> {
    pub(super) judge: J,
    pub(super) requests: Q,
    /// `None` for a chain that has no times to keep and nobody to tell.
    pub(super) watch: Option<Watch>,
}

impl<J, Q> Plan<J, Q> {
    /// A refusal by the guard of another dependency than the one that this chain covers comes from somewhere inside
    /// the primary, which may have done part of its work before: it proves nothing.
    #[inline]
    pub(super) fn trusted(&self, cause: Cause) -> Cause {
        let covered = self.watch.as_ref().and_then(Watch::dependency);
        match (covered, cause.refusal()) {
            (Some(covered), Some(refusal)) if refusal.dependency() != covered.name() => {
                cause.unproven()
            }
            _ => cause,
        }
    }
}
