//! The list of tiers, left-nested: each holds all those before it.

use std::{fmt, time::Duration};

use super::{
    descent::{LastRun, OrRun},
    tier::Attempt,
};

/// No tiers yet: the primary alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTiers(pub(super) ());

/// A tier after those of `L`, which may fail.
#[derive(Clone)]
pub struct Or<L, T> {
    pub(super) earlier: L,
    pub(super) step: Step<T>,
}

/// The last tier, after those of `L`. It always answers.
#[derive(Clone)]
pub struct OrLast<L, T> {
    pub(super) earlier: L,
    pub(super) step: Step<T>,
}

/// A tier that has not begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<T> {
    pub(super) tier: T,
    pub(super) name: &'static str,
    /// Its place in the chain: 0 is the first tier after the primary.
    pub(super) index: usize,
    pub(super) timeout: Option<Duration>,
}

/// Tiers that can stand behind a primary's call `P`, where requests are kept as `K`.
pub trait Tiers<Req, Res, K, P> {
    /// A call that passes through the tiers as far as it must.
    type Run;

    /// Puts the tiers behind the primary's call.
    fn behind(self, primary: P) -> Self::Run;
}

impl<Req, Res, K, P> Tiers<Req, Res, K, P> for NoTiers {
    type Run = P;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn behind(self, primary: P) -> P {
        primary
    }
}

impl<Req, Res, K, P, L, T> Tiers<Req, Res, K, P> for Or<L, T>
where
    L: Tiers<Req, Res, K, P>,
    T: Attempt<Req, Res>,
{
    type Run = OrRun<L::Run, T, T::Future, K>;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn behind(self, primary: P) -> Self::Run {
        OrRun::new(self.earlier.behind(primary), self.step)
    }
}

impl<Req, Res, K, P, L, T> Tiers<Req, Res, K, P> for OrLast<L, T>
where
    L: Tiers<Req, Res, K, P>,
    T: Attempt<Req, Res>,
{
    type Run = LastRun<L::Run, T, T::Future>;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn behind(self, primary: P) -> Self::Run {
        LastRun::new(self.earlier.behind(primary), self.step)
    }
}

impl<L: fmt::Debug, T> fmt::Debug for Or<L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} or {}", self.earlier, self.step.name)
    }
}

impl<L: fmt::Debug, T> fmt::Debug for OrLast<L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} or at last {}", self.earlier, self.step.name)
    }
}
