//! How a chain ends: by a tier that always answers, or as it is.

use std::future::Future;

use super::FallbackBuilder;
use crate::{
    core::ConfigError,
    fallback::{
        asks::Whole,
        chain::{Or, OrLast},
        conclude::{Certain, OwnError, PrimaryError},
        failed::Failed,
        judge::EveryError,
        layer::FallbackLayer,
        plan::Plan,
        requests::{Idempotent, Safe, Writes},
        tier::LastTier,
        watch::Watching,
    },
};

/// A layer, or what was wrong with it.
pub(super) type Finished<J, Q, M, X, T, W> =
    Result<FallbackLayer<T, Plan<J, Q, M, X, W>>, ConfigError>;

/// The same, with a last tier.
pub(super) type Ended<A, J, Q, M, X, T, W> = Finished<J, Q, M, X, OrLast<T, A>, W>;

impl<J, Q, M, X, T, W: Watching> FallbackBuilder<J, Q, M, X, T, W> {
    fn finish(self) -> Finished<J, Q, M, X, T, W> {
        let watch = W::of(&self.settings)?;
        Ok(FallbackLayer::new(
            self.tiers,
            self.plan.with_watch(|_| watch),
        ))
    }

    pub(super) fn end<A>(mut self, name: &'static str, tier: A) -> Ended<A, J, Q, M, X, T, W> {
        let step = self.settings.step(name, None, tier);
        self.settings.ends = true;
        self.tiers(|earlier| OrLast { earlier, step }).finish()
    }
}

impl<J, Q, M, X, L, A, W: Watching> FallbackBuilder<J, Q, M, X, Or<L, A>, W> {
    /// The layer, whose last tier may fail. Fails if two tiers have the same name, if a name is not 1 to 128 visible
    /// ASCII characters or is `primary`, or if a setting lies out of range.
    pub fn build(self) -> Finished<J, Q, M, X, Or<L, A>, W> {
        self.finish()
    }
}

impl<J, M, T, W> FallbackBuilder<J, Writes, M, OwnError, T, W> {
    /// Names all requests safe: none of them has an effect, so that each may go elsewhere whatever has happened to it.
    pub fn safe(self) -> FallbackBuilder<J, Safe, M, OwnError, T, W> {
        self.plan(|plan| plan.with_requests(|_| Safe(())))
    }

    /// All requests carry an idempotency key that primary and tiers heed together, so that each may go elsewhere
    /// whatever has happened to it.
    pub fn idempotent(self) -> FallbackBuilder<J, Idempotent, M, OwnError, T, W> {
        self.plan(|plan| plan.with_requests(|_| Idempotent(())))
    }
}

impl<J, M, T, W: Watching> FallbackBuilder<J, Writes, M, OwnError, T, W> {
    /// Ends the chain by a tier that always answers, and makes the layer. Requests may be writes, which do not all get
    /// there: the chain keeps the primary's error type.
    ///
    /// Fails as [`build`](FallbackBuilder::build) does.
    pub fn last<F, Fut, Req>(
        self,
        name: &'static str,
        tier: F,
    ) -> Ended<Whole<LastTier<F>>, J, Writes, M, PrimaryError, T, W>
    where
        F: Fn(Failed<Req>) -> Fut,
        Fut: Future,
    {
        self.plan(|plan| plan.with_conclude(|_| PrimaryError(())))
            .end(name, Whole(LastTier(tier)))
    }
}

/// Ends a chain of which every request gets to the last tier.
macro_rules! ends_certainly {
    ($requests:ty) => {
        impl<J, M, T, W: Watching> FallbackBuilder<J, $requests, M, OwnError, T, W> {
            /// Ends the chain by a tier that always answers, and makes the layer. Its error type is
            /// [`Infallible`](std::convert::Infallible), so every error of the primary descends, even a neutral one.
            ///
            /// Fails as [`build`](FallbackBuilder::build) does.
            pub fn last<F, Fut, Req>(
                self,
                name: &'static str,
                tier: F,
            ) -> Ended<Whole<LastTier<F>>, EveryError<J>, $requests, M, Certain, T, W>
            where
                F: Fn(Failed<Req>) -> Fut,
                Fut: Future,
            {
                self.plan(|plan| plan.with_conclude(|_| Certain(())).with_judge(EveryError))
                    .end(name, Whole(LastTier(tier)))
            }
        }
    };
}

ends_certainly!(Safe);
ends_certainly!(Idempotent);
