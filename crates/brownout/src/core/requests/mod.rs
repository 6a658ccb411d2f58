//! Which requests may go elsewhere after which failure, and how they are made again.

use std::convert::Infallible;

use super::Cause;

mod explain;
#[cfg(feature = "http")]
mod head;
#[cfg(feature = "http")]
mod http;

pub use self::explain::{ByClosure, ByDisplay, Explain};
#[cfg(feature = "http")]
pub use self::{
    explain::{Sources, Transport},
    http::{Bodies, Cloned, HttpRequests, KeptRequest, Replay, ReplayableBody, Rules},
};

/// Keeps requests for the tiers, and says which of them may go elsewhere after which failure.
///
/// A call that may have had its effect is not made again elsewhere, unless its request is known to be safe or carries
/// an idempotency key.
pub trait Requests<Req> {
    /// What is kept while somebody else has the request.
    type Kept;
    /// Shows that a request may not descend; [`Infallible`] where each may.
    type Stuck;

    /// Keeps what is needed to make the request again.
    fn keep(&self, request: &Req) -> Self::Kept;

    /// Keeps a request that was not given to anybody.
    fn whole(&self, request: Req) -> Self::Kept;

    /// Whether the request may descend after that cause.
    ///
    /// # Errors
    ///
    /// Where it might have its effect twice.
    fn may_descend(&self, kept: &Self::Kept, cause: &Cause) -> Result<(), Self::Stuck>;

    /// Whether a kept request has an effect, even if it may be made again after any failure.
    fn has_effect(&self, kept: &Self::Kept) -> bool;

    /// The request again, and what is kept for the tiers after the next. None where it cannot be made again.
    fn again(&self, kept: Self::Kept) -> (Option<Req>, Self::Kept);

    /// The request again, for the last tier.
    ///
    /// # Errors
    ///
    /// Where it cannot be made again.
    fn last(&self, kept: Self::Kept) -> Result<Req, Self::Stuck>;

    /// Whether the request has no effect at all, so that a tier may be exercised with it.
    fn is_safe(&self, request: &Req) -> bool;
}

/// Requests of which a head can be had, whatever became of their body.
pub trait Heads<Req>: Requests<Req> {
    /// The head.
    type Head;

    /// The head of a kept request.
    fn head(&self, kept: &Self::Kept) -> Self::Head;
}

/// A request that may not descend.
#[derive(Clone, Copy, Debug)]
pub struct MayNotDescend(());

/// Every request is safe: each may descend after any failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Safe(pub(crate) ());

/// Every request carries an idempotency key: each may descend after any failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idempotent(pub(crate) ());

/// Every request may be a write: it descends only after causes that prove that it was not sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Writes(pub(crate) ());

/// Plain requests are kept by cloning them; what differs is which may descend.
macro_rules! keep_clones {
    ($requests:ty, stuck: $stuck:ty, safe: $safe:literal, may_descend: $may_descend:expr) => {
        impl<Req: Clone> Requests<Req> for $requests {
            type Kept = Req;
            type Stuck = $stuck;

            #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
            #[inline(always)]
            fn keep(&self, request: &Req) -> Req {
                request.clone()
            }

            #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
            #[inline(always)]
            fn whole(&self, request: Req) -> Req {
                request
            }

            #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
            #[inline(always)]
            fn may_descend(&self, _: &Req, cause: &Cause) -> Result<(), $stuck> {
                let may_descend: fn(&Cause) -> Result<(), $stuck> = $may_descend;
                may_descend(cause)
            }

            #[inline]
            fn has_effect(&self, _: &Req) -> bool {
                !$safe
            }

            #[inline]
            fn again(&self, kept: Req) -> (Option<Req>, Req) {
                (Some(kept.clone()), kept)
            }

            #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
            #[inline(always)]
            fn last(&self, kept: Req) -> Result<Req, $stuck> {
                Ok(kept)
            }

            #[inline]
            fn is_safe(&self, _: &Req) -> bool {
                $safe
            }
        }
    };
}

keep_clones!(Safe, stuck: Infallible, safe: true, may_descend: |_| Ok(()));
keep_clones!(Idempotent, stuck: Infallible, safe: false, may_descend: |_| Ok(()));
keep_clones!(Writes, stuck: MayNotDescend, safe: false, may_descend: |cause| {
    if cause.proves_not_sent() {
        Ok(())
    } else {
        Err(MayNotDescend(()))
    }
});
