//! What a tier is given of a request: all of it, or its head.

use super::requests::{Heads, Requests};

/// A tier, and what it asks for of the chain's requests.
pub trait Asks<Req, Q: Requests<Req>> {
    /// The tier itself.
    type Tier;
    /// What it is given.
    type Request;
    /// Whether that is only the head.
    const HEAD: bool;

    /// What the tier is given, and what is kept for those after it; nothing where it cannot be had.
    fn ask(requests: &Q, kept: Q::Kept) -> (Option<Self::Request>, Q::Kept);

    /// What the tier is given, where it is the last.
    ///
    /// # Errors
    ///
    /// Where that cannot be had.
    fn ask_last(requests: &Q, kept: Q::Kept) -> Result<Self::Request, Q::Stuck>;

    /// The tier, to begin.
    fn tier(self) -> Self::Tier;
}

/// A tier of whole requests.
#[derive(Clone, Copy, Debug)]
pub struct Whole<T>(pub(super) T);

/// A tier of heads, for requests of any body.
#[derive(Clone, Copy, Debug)]
pub struct Head<T>(pub(super) T);

impl<Req, Q: Requests<Req>, T> Asks<Req, Q> for Whole<T> {
    type Tier = T;
    type Request = Req;
    const HEAD: bool = false;

    #[inline]
    fn ask(requests: &Q, kept: Q::Kept) -> (Option<Req>, Q::Kept) {
        requests.again(kept)
    }

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn ask_last(requests: &Q, kept: Q::Kept) -> Result<Req, Q::Stuck> {
        requests.last(kept)
    }

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn tier(self) -> T {
        self.0
    }
}

impl<Req, Q: Heads<Req>, T> Asks<Req, Q> for Head<T> {
    type Tier = T;
    type Request = Q::Head;
    const HEAD: bool = true;

    fn ask(requests: &Q, kept: Q::Kept) -> (Option<Q::Head>, Q::Kept) {
        (Some(requests.head(&kept)), kept)
    }

    fn ask_last(requests: &Q, kept: Q::Kept) -> Result<Q::Head, Q::Stuck> {
        Ok(requests.head(&kept))
    }

    fn tier(self) -> T {
        self.0
    }
}
