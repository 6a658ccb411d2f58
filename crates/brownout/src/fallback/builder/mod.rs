use std::{fmt, future::Future, marker::PhantomData, time::Duration};

use brownout_registry::Dependency;

use crate::core::{Cause, Degraded};

use super::{
    asks::Whole,
    chain::{NoTiers, Or, Step},
    conclude::{ExhaustedWith, FailExhausted},
    failed::{Exhausted, Failed},
    judge::Results,
    mark::MarkWith,
    plan::Plan,
    requests::ByClosure,
    tier::{FnTier, ServiceTier, Tier},
    watch::{Exercise, Exercised, Settings, Unwatched, Watching},
};

mod ending;
#[cfg(feature = "http")]
mod messages;
mod settings;

/// A plan of which it is known how it is to be watched, and not yet by what.
type Planned<J, Q, M, X, W> = Plan<J, Q, M, X, PhantomData<fn() -> W>>;

/// A builder with one more tier.
type With<A, J, Q, M, X, T, W> = FallbackBuilder<J, Q, M, X, Or<T, A>, W>;

/// Configures a [`FallbackLayer`](super::FallbackLayer). `J` judges, `Q` keeps requests, `M` marks, `X` says what comes
/// of a call that nobody answered, `T` are the tiers so far, and `W` is what else the chain keeps an eye on.
#[derive(Clone)]
#[must_use = "a chain is a layer only after `last` or `build`"]
pub struct FallbackBuilder<J, Q, M, X, T = NoTiers, W = Unwatched> {
    plan: Planned<J, Q, M, X, W>,
    tiers: T,
    settings: Settings,
}

impl<J, Q, M, X> FallbackBuilder<J, Q, M, X> {
    pub(super) fn new(judge: J, requests: Q, mark: M, conclude: X) -> Self {
        Self {
            plan: Plan {
                judge,
                requests,
                mark,
                conclude,
                watch: PhantomData,
            },
            tiers: NoTiers(()),
            settings: Settings::default(),
        }
    }
}

impl<J, Q, M, X, T, W> FallbackBuilder<J, Q, M, X, T, W> {
    /// Adds a tier that is a service. Its error type may be any. It answers as the primary does; in an HTTP or gRPC
    /// chain its body may be of another type.
    pub fn tier<S>(mut self, tier: Tier<S>) -> With<Whole<ServiceTier<S>>, J, Q, M, X, T, W> {
        let step = self
            .settings
            .step(tier.name, tier.timeout, Whole(ServiceTier::of(tier)));
        self.or(step)
    }

    /// Adds a tier that is an async closure, which answers or fails.
    ///
    /// Where it looks into the request, it must say of what type that is: `|f: Failed<http::Request<_>>| …`.
    pub fn tier_fn<F, Fut, Req, Res, E>(
        mut self,
        name: &'static str,
        tier: F,
    ) -> With<Whole<FnTier<F>>, J, Q, M, X, T, W>
    where
        F: Fn(Failed<Req>) -> Fut,
        Fut: Future<Output = Result<Res, E>>,
    {
        let step = self.settings.step(name, None, Whole(FnTier(tier)));
        self.or(step)
    }

    /// Marks the answers of tiers by a closure.
    pub fn mark_with<F, Res>(self, mark: F) -> FallbackBuilder<J, Q, MarkWith<F>, X, T, W>
    where
        F: Fn(&mut Res, Degraded),
    {
        self.plan(|plan| plan.with_mark(|_| MarkWith(mark)))
    }

    fn or<A>(self, step: Step<A>) -> With<A, J, Q, M, X, T, W> {
        self.tiers(|earlier| Or { earlier, step })
    }

    fn tiers<U>(self, tiers: impl FnOnce(T) -> U) -> FallbackBuilder<J, Q, M, X, U, W> {
        FallbackBuilder {
            plan: self.plan,
            tiers: tiers(self.tiers),
            settings: self.settings,
        }
    }

    fn plan<K, P, N, Y, V>(
        self,
        plan: impl FnOnce(Planned<J, Q, M, X, W>) -> Planned<K, P, N, Y, V>,
    ) -> FallbackBuilder<K, P, N, Y, T, V> {
        FallbackBuilder {
            plan: plan(self.plan),
            tiers: self.tiers,
            settings: self.settings,
        }
    }
}

/// What is kept for the chain as a whole. From here on the layer has a [`chain`](super::FallbackLayer::chain).
impl<J, Q, M, X, T, W: Watching> FallbackBuilder<J, Q, M, X, T, W> {
    /// The longest that the whole chain may take, the primary included, but not the wait for the primary's readiness.
    /// A tier that can no longer begin is skipped. A last tier that always answers is asked even then, and nothing
    /// bounds it. Between a millisecond and a year; none by default, and by `None`.
    pub fn within(
        mut self,
        deadline: impl Into<Option<Duration>>,
    ) -> FallbackBuilder<J, Q, M, X, T, W::AndTimed> {
        self.settings.within = deadline.into();
        self.settings.keep_duration("within", self.settings.within);
        self.timed()
    }

    /// Says which dependency the primary stands for: marks carry its public name and the degradation level, and the
    /// registry and the log hear when tiers begin to serve and when they no longer do.
    ///
    /// Of the primary's refusals, then, only those of this dependency's guards count as proof that a write was not
    /// sent.
    pub fn covering(
        mut self,
        dependency: &Dependency,
    ) -> FallbackBuilder<J, Q, M, X, T, W::AndWatched> {
        self.settings.dependency = Some(dependency.clone());
        self.watched()
    }

    /// Goes straight to the first tier while a probe or a person says that this dependency is unhealthy. The primary
    /// is not even asked whether it is ready.
    ///
    /// It heeds the [status without traffic](Dependency::status_without_traffic): a circuit, or calls observed in
    /// passing, could not learn of a recovery from calls that nobody makes. So it needs a probe on the dependency, or
    /// people. A caller who already waits for the primary's readiness goes on waiting until it polls again.
    pub fn skip_when_unhealthy(
        mut self,
        dependency: &Dependency,
    ) -> FallbackBuilder<J, Q, M, X, T, W::AndWatched> {
        self.settings.pass_over.push(dependency.clone());
        self.watched()
    }

    /// Says that a tier stands for a dependency of its own: how the tier does is reported there, as
    /// [`Traffic`](brownout_registry::ReporterKind::Traffic), and it is passed over while a probe or a person says that
    /// the dependency is unhealthy. A failure counts for a minute there. The tier may be added later; one that never
    /// is, is refused in the end.
    ///
    /// Of the tier's refusals, then, only those of this dependency's guards count as proof that a write was not sent.
    pub fn tier_stands_for(
        mut self,
        tier: &'static str,
        dependency: &Dependency,
    ) -> FallbackBuilder<J, Q, M, X, T, W::AndWatched> {
        self.settings.stand_for.push((tier, dependency.clone()));
        self.watched()
    }

    /// Sends a share of calls to the first tier though the primary is well, so that the tier is warm and known to work
    /// when it is needed. `0.01` is one call in a hundred; see [`Exercise`]. Needs a primary that is `Clone`, and
    /// [`covering`](Self::covering).
    pub fn exercise(
        mut self,
        exercise: impl Into<Exercise>,
    ) -> FallbackBuilder<J, Q, M, X, T, Exercised> {
        self.settings.exercise = Some(exercise.into());
        self.plan(|plan| plan.with_watch(|_| PhantomData))
    }

    /// What nobody answered becomes an answer or an error by this closure, which learns who failed and how. Failures
    /// are timed then.
    pub fn exhausted_with<F, Res, E>(
        self,
        exhausted: F,
    ) -> FallbackBuilder<J, Q, M, ExhaustedWith<F>, T, W::AndTimed>
    where
        F: Fn(Exhausted) -> Result<Res, E>,
    {
        self.timed()
            .plan(|plan| plan.with_conclude(|_| ExhaustedWith(exhausted)))
    }

    /// What nobody answered becomes a [`BoxError`](crate::core::BoxError) that downcasts to [`Exhausted`]; the
    /// primary's own errors are boxed. Failures are timed then.
    pub fn exhausted_fails(self) -> FallbackBuilder<J, Q, M, FailExhausted, T, W::AndTimed> {
        self.timed()
            .plan(|plan| plan.with_conclude(|_| FailExhausted(())))
    }

    fn timed(self) -> FallbackBuilder<J, Q, M, X, T, W::AndTimed> {
        self.plan(|plan| plan.with_watch(|_| PhantomData))
    }

    fn watched(self) -> FallbackBuilder<J, Q, M, X, T, W::AndWatched> {
        self.plan(|plan| plan.with_watch(|_| PhantomData))
    }
}

impl<C, X, Q, M, Y, T, W> FallbackBuilder<Results<C, X>, Q, M, Y, T, W> {
    /// Judges answers and errors by a closure or another [`Classify`](crate::core::Classify): failures descend, and so
    /// do refusals; what is neutral or a success goes to the caller.
    pub fn classify<K>(self, classify: K) -> FallbackBuilder<Results<K, X>, Q, M, Y, T, W> {
        self.plan(|plan| {
            plan.with_judge(|judge| Results {
                classify,
                explain: judge.explain,
            })
        })
    }

    /// Says what errors mean, where `Display` cannot: which variant of an error enum is a refusal, which a failed
    /// connection. A closure that uses static texts costs no allocation either.
    ///
    /// ```
    /// # use brownout::{core::{Cause, Rejected}, fallback::FallbackLayer};
    /// enum Error { Refused(Rejected), Database }
    /// let chain = FallbackLayer::for_results().causes(|error: &Error| match error {
    ///     Error::Refused(rejected) => Cause::rejected(rejected),
    ///     Error::Database => Cause::failed("database"),
    /// });
    /// # let _ = chain;
    /// ```
    pub fn causes<F, E>(self, causes: F) -> FallbackBuilder<Results<C, ByClosure<F>>, Q, M, Y, T, W>
    where
        F: Fn(&E) -> Cause,
    {
        self.plan(|plan| {
            plan.with_judge(|judge| Results {
                classify: judge.classify,
                explain: ByClosure(causes),
            })
        })
    }
}

impl<J, Q, M, X, T: fmt::Debug, W> fmt::Debug for FallbackBuilder<J, Q, M, X, T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackBuilder")
            .field("tiers", &self.tiers)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
