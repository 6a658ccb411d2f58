//! The list of tiers, left-nested: each holds all those before it.

use std::fmt;

use super::{
    asks::Asks,
    requests::Requests,
    run::{LastRun, OrRun},
    tier::Attempt,
};

/// No tiers yet: the primary alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTiers(pub(super) ());

/// A tier after those of `L`, which may fail.
#[derive(Clone)]
pub struct Or<L, A> {
    pub(super) earlier: L,
    pub(super) step: Step<A>,
}

/// The last tier, after those of `L`. It always answers.
#[derive(Clone)]
pub struct OrLast<L, A> {
    pub(super) earlier: L,
    pub(super) step: Step<A>,
}

/// A tier that has not begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<A> {
    pub(super) tier: A,
    pub(super) name: &'static str,
}

/// Tiers that can stand behind a primary's call `P`.
pub trait Tiers<Req, Q: Requests<Req>, P> {
    /// A call that passes through the tiers as far as it must.
    type Run;

    /// Puts the tiers behind the primary's call.
    fn behind(self, primary: P) -> Self::Run;
}

impl<Req, Q: Requests<Req>, P> Tiers<Req, Q, P> for NoTiers {
    type Run = P;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn behind(self, primary: P) -> P {
        primary
    }
}

impl<Req, Q, P, L, A> Tiers<Req, Q, P> for Or<L, A>
where
    Q: Requests<Req>,
    L: Tiers<Req, Q, P>,
    A: Asks<Req, Q>,
    A::Tier: Attempt<A::Request>,
{
    type Run = OrRun<L::Run, A, <A::Tier as Attempt<A::Request>>::Future, Q::Kept>;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn behind(self, primary: P) -> Self::Run {
        OrRun::new(self.earlier.behind(primary), self.step)
    }
}

impl<Req, Q, P, L, A> Tiers<Req, Q, P> for OrLast<L, A>
where
    Q: Requests<Req>,
    L: Tiers<Req, Q, P>,
    A: Asks<Req, Q>,
    A::Tier: Attempt<A::Request>,
{
    type Run = LastRun<L::Run, A, <A::Tier as Attempt<A::Request>>::Future>;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn behind(self, primary: P) -> Self::Run {
        LastRun::new(self.earlier.behind(primary), self.step)
    }
}

impl<L: fmt::Debug, A> fmt::Debug for Or<L, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} or {}", self.earlier, self.step.name)
    }
}

impl<L: fmt::Debug, A> fmt::Debug for OrLast<L, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} or at last {}", self.earlier, self.step.name)
    }
}
