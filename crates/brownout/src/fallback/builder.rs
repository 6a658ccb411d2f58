use std::{fmt, future::Future, time::Duration};

use brownout_registry::Dependency;

use crate::core::{ConfigError, Degraded, config};

use super::{
    cause::Cause,
    chain::{NoTiers, Or, OrLast, Step},
    conclude::{ExhaustedWith, FailExhausted, OwnError},
    descent::PRIMARY,
    failed::{Exhausted, Failed},
    judge::{ByClosure, EveryError, Results},
    layer::FallbackLayer,
    mark::MarkWith,
    plan::Plan,
    requests::{Safe, Writes},
    service::Parts,
    tier::{FnTier, LastTier, ServiceTier, Tier},
    watch::{Extras, Watches},
};

/// Configures a [`FallbackLayer`]. `J` judges, `Q` keeps requests, `M` marks, `X` says what comes of a call that nobody
/// answered, and `T` are the tiers so far.
#[derive(Clone)]
#[must_use = "a chain is a layer only after `last` or `build`"]
pub struct FallbackBuilder<J, Q, M, X, T = NoTiers> {
    judge: J,
    requests: Q,
    mark: M,
    conclude: X,
    tiers: T,
    settings: Settings,
}

#[derive(Clone, Debug, Default)]
struct Settings {
    names: Vec<&'static str>,
    within: Option<Duration>,
    timed: bool,
    /// Whether any tier has a timeout.
    bounded: bool,
    dependency: Option<Dependency>,
    /// What is wrong, by whatever was said first.
    wrong: Option<ConfigError>,
}

impl<J, Q, M, X> FallbackBuilder<J, Q, M, X> {
    pub(super) fn new(judge: J, requests: Q, mark: M, conclude: X) -> Self {
        Self {
            judge,
            requests,
            mark,
            conclude,
            tiers: NoTiers(()),
            settings: Settings::default(),
        }
    }
}

impl<J, Q, M, X, T> FallbackBuilder<J, Q, M, X, T> {
    /// Adds a tier that is a service. It answers as the primary does; its error type may be any.
    pub fn tier<S>(mut self, tier: Tier<S>) -> FallbackBuilder<J, Q, M, X, Or<T, ServiceTier<S>>> {
        let index = self.settings.add(tier.name);
        self.settings.keep_duration("timeout", tier.timeout);
        self.settings.bounded |= tier.timeout.is_some();
        self.map(|earlier| Or {
            earlier,
            step: Step {
                tier: ServiceTier(tier.service),
                name: tier.name,
                index,
                timeout: tier.timeout,
            },
        })
    }

    /// Adds a tier that is an async closure, which answers or fails.
    ///
    /// Where it looks into the request, it must say of what type that is: `|f: Failed<http::Request<_>>| …`.
    pub fn tier_fn<F, Fut, Req, Res, E>(
        mut self,
        name: &'static str,
        tier: F,
    ) -> FallbackBuilder<J, Q, M, X, Or<T, FnTier<F>>>
    where
        F: Fn(Failed<Req>) -> Fut,
        Fut: Future<Output = Result<Res, E>>,
    {
        let index = self.settings.add(name);
        self.map(|earlier| Or {
            earlier,
            step: Step {
                tier: FnTier(tier),
                name,
                index,
                timeout: None,
            },
        })
    }

    /// The longest that the whole chain may take, the primary included, but not the wait for the primary's readiness.
    /// A tier that can no longer begin is skipped. A last tier that always answers is asked even then, and nothing
    /// bounds it. Between a millisecond and a year; none by default.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.settings.keep_duration("within", Some(deadline));
        self.settings.within = Some(deadline);
        self
    }

    /// Says which dependency the primary stands for: marks carry its public name and the degradation level, and the
    /// registry and the log hear when tiers begin to serve and when they no longer do.
    ///
    /// Of refusals, then, only those of this dependency's guards count as proof that a write was not sent.
    pub fn covering(mut self, dependency: &Dependency) -> Self {
        self.settings.dependency = Some(dependency.clone());
        self
    }

    /// Marks the answers of tiers by a closure.
    pub fn mark_with<F, Res>(self, mark: F) -> FallbackBuilder<J, Q, MarkWith<F>, X, T>
    where
        F: Fn(&mut Res, Degraded),
    {
        FallbackBuilder {
            judge: self.judge,
            requests: self.requests,
            mark: MarkWith(mark),
            conclude: self.conclude,
            tiers: self.tiers,
            settings: self.settings,
        }
    }

    /// What nobody answered becomes an answer or an error by this closure, which learns who failed and how. Failures
    /// are timed then.
    pub fn exhausted_with<F, Res, E>(
        mut self,
        exhausted: F,
    ) -> FallbackBuilder<J, Q, M, ExhaustedWith<F>, T>
    where
        F: Fn(Exhausted) -> Result<Res, E>,
    {
        self.settings.timed = true;
        self.conclude(ExhaustedWith(exhausted))
    }

    /// What nobody answered becomes a [`BoxError`](crate::core::BoxError) that downcasts to [`Exhausted`]; the
    /// primary's own errors are boxed. Failures are timed then.
    pub fn exhausted_fails(mut self) -> FallbackBuilder<J, Q, M, FailExhausted, T> {
        self.settings.timed = true;
        self.conclude(FailExhausted(()))
    }

    fn conclude<Y>(self, conclude: Y) -> FallbackBuilder<J, Q, M, Y, T> {
        FallbackBuilder {
            judge: self.judge,
            requests: self.requests,
            mark: self.mark,
            conclude,
            tiers: self.tiers,
            settings: self.settings,
        }
    }

    fn judge<K>(self, judge: impl FnOnce(J) -> K) -> FallbackBuilder<K, Q, M, X, T> {
        FallbackBuilder {
            judge: judge(self.judge),
            requests: self.requests,
            mark: self.mark,
            conclude: self.conclude,
            tiers: self.tiers,
            settings: self.settings,
        }
    }

    fn requests<P>(self, requests: impl FnOnce(Q) -> P) -> FallbackBuilder<J, P, M, X, T> {
        FallbackBuilder {
            judge: self.judge,
            requests: requests(self.requests),
            mark: self.mark,
            conclude: self.conclude,
            tiers: self.tiers,
            settings: self.settings,
        }
    }

    fn map<U>(self, tiers: impl FnOnce(T) -> U) -> FallbackBuilder<J, Q, M, X, U> {
        FallbackBuilder {
            judge: self.judge,
            requests: self.requests,
            mark: self.mark,
            conclude: self.conclude,
            tiers: tiers(self.tiers),
            settings: self.settings,
        }
    }

    fn finish(self) -> Finished<J, Q, M, X, T> {
        let settings = self.settings;
        if let Some(wrong) = settings.wrong {
            return Err(wrong);
        }
        let watches = settings.has_extras().then(|| {
            let extras = Extras {
                within: settings.within,
                timed: settings.timed,
            };
            Watches::new(extras, settings.dependency.as_ref(), &settings.names)
        });
        Ok(FallbackLayer {
            parts: Parts {
                tiers: self.tiers,
                plan: Plan {
                    judge: self.judge,
                    requests: self.requests,
                    watch: None,
                },
                watches,
                mark: self.mark,
                conclude: self.conclude,
            },
        })
    }

    fn end<F>(
        mut self,
        name: &'static str,
        tier: F,
    ) -> FallbackBuilder<J, Q, M, X, OrLast<T, LastTier<F>>> {
        let index = self.settings.add(name);
        self.map(|earlier| OrLast {
            earlier,
            step: Step {
                tier: LastTier(tier),
                name,
                index,
                timeout: None,
            },
        })
    }
}

impl<J, Q, M, X, L, T> FallbackBuilder<J, Q, M, X, Or<L, T>> {
    /// The layer, whose last tier may fail. Fails if two tiers have the same name, if a name is not 1 to 128 visible
    /// ASCII characters or is `primary`, or if a time lies out of range.
    pub fn build(self) -> Finished<J, Q, M, X, Or<L, T>> {
        self.finish()
    }
}

/// A layer, or what was wrong with it.
type Finished<J, Q, M, X, T> = Result<FallbackLayer<T, J, Q, M, X>, ConfigError>;

/// The same, with a last tier.
type Ended<F, J, Q, M, X, T> = Finished<J, Q, M, X, OrLast<T, LastTier<F>>>;

impl<J, M, T> FallbackBuilder<J, Writes, M, OwnError, T> {
    /// Names all requests safe: none of them has an effect, so that each may go elsewhere whatever has happened to it.
    pub fn safe(self) -> FallbackBuilder<J, Safe, M, OwnError, T> {
        self.requests(|_| Safe(()))
    }

    /// All requests carry an idempotency key that primary and tiers heed together, so that each may go elsewhere
    /// whatever has happened to it.
    pub fn idempotent(self) -> FallbackBuilder<J, Safe, M, OwnError, T> {
        self.safe()
    }

    /// Ends the chain by a tier that always answers, and makes the layer. Requests may be writes, which do not all get
    /// there: the chain keeps the primary's error type.
    ///
    /// Fails as [`build`](FallbackBuilder::build) does.
    pub fn last<F, Fut, Req>(
        self,
        name: &'static str,
        tier: F,
    ) -> Ended<F, J, Writes, M, OwnError, T>
    where
        F: Fn(Failed<Req>) -> Fut,
        Fut: Future,
    {
        self.end(name, tier).finish()
    }
}

impl<J, M, T> FallbackBuilder<J, Safe, M, OwnError, T> {
    /// Ends the chain by a tier that always answers, and makes the layer. Its error type is
    /// [`Infallible`](std::convert::Infallible), so every error of the primary descends, even a neutral one.
    ///
    /// Fails as [`build`](FallbackBuilder::build) does.
    pub fn last<F, Fut, Req>(
        self,
        name: &'static str,
        tier: F,
    ) -> Ended<F, EveryError<J>, Safe, M, OwnError, T>
    where
        F: Fn(Failed<Req>) -> Fut,
        Fut: Future,
    {
        self.judge(EveryError).end(name, tier).finish()
    }
}

impl<C, X, Q, M, Y, T> FallbackBuilder<Results<C, X>, Q, M, Y, T> {
    /// Judges answers and errors by a closure or another [`Classify`](crate::core::Classify): failures descend, and so
    /// do refusals; what is neutral or a success goes to the caller.
    pub fn classify<K>(self, classify: K) -> FallbackBuilder<Results<K, X>, Q, M, Y, T> {
        self.judge(|judge| Results {
            classify,
            explain: judge.explain,
        })
    }

    /// Says what errors mean, where `Display` cannot: which variant of an error enum is a refusal, which a failed
    /// connection. A closure that uses static texts costs no allocation either.
    ///
    /// ```
    /// # use brownout::{core::Rejected, fallback::{Cause, FallbackLayer}};
    /// enum Error { Refused(Rejected), Database }
    /// let chain = FallbackLayer::for_results().causes(|error: &Error| match error {
    ///     Error::Refused(rejected) => Cause::rejected(rejected),
    ///     Error::Database => Cause::failed("database"),
    /// });
    /// # let _ = chain;
    /// ```
    pub fn causes<F, E>(self, causes: F) -> FallbackBuilder<Results<C, ByClosure<F>>, Q, M, Y, T>
    where
        F: Fn(&E) -> Cause,
    {
        self.judge(|judge| Results {
            classify: judge.classify,
            explain: ByClosure(causes),
        })
    }
}

#[cfg(feature = "http")]
mod messages {
    use std::future::Future;

    use super::{ByClosure, Cause, Ended, EveryError, Failed, FallbackBuilder, LastTier, OrLast};
    use crate::fallback::{
        answers::{AlwaysAnswers, Answers},
        judge::Responses,
        requests::{Cloned, HttpRequests},
    };

    impl<J, P, M, X, T> FallbackBuilder<J, HttpRequests<P>, M, X, T> {
        /// Names all requests safe, whatever their method: none of them has an effect.
        pub fn safe(self) -> Self {
            self.requests(|mut requests| {
                requests.rules.safe = |_| true;
                requests
            })
        }

        /// Lets writes go elsewhere even if they may have had their effect, where they carry an `Idempotency-Key`
        /// header (metadata, on gRPC) that primary and tiers heed together. One without the header goes elsewhere only
        /// where it was certainly not sent; else its caller gets the failure as it is.
        pub fn idempotent(self) -> Self {
            self.requests(|mut requests| {
                requests.rules.idempotent = true;
                requests
            })
        }

        /// Ends the chain by a tier that always answers, and makes the layer. Its error type is
        /// [`Infallible`](std::convert::Infallible): where a request may not descend, a failed answer goes to the
        /// caller as it is, and an error becomes a 503 (`UNAVAILABLE`).
        ///
        /// Fails as [`build`](FallbackBuilder::build) does.
        pub fn last<F, Fut, Req>(
            self,
            name: &'static str,
            tier: F,
        ) -> Ended<F, EveryError<J>, HttpRequests<P>, M, X, T>
        where
            F: Fn(Failed<Req>) -> Fut,
            Fut: Future,
        {
            let ended: FallbackBuilder<_, _, _, _, OrLast<T, LastTier<F>>> =
                self.judge(EveryError).end(name, tier);
            ended.finish()
        }
    }

    impl<J, M, X, T> FallbackBuilder<J, HttpRequests, M, X, T> {
        /// Keeps requests by cloning them with their bodies, which must be `Clone`: for bodies that lie in memory.
        pub fn cloning(self) -> FallbackBuilder<J, HttpRequests<Cloned>, M, X, T> {
            self.requests(HttpRequests::cloned)
        }
    }

    impl<J, Q, M, T> FallbackBuilder<J, Q, M, Answers, T> {
        /// What nobody answered becomes a 503 (`UNAVAILABLE`), whatever the last tier's error was. The chain is
        /// infallible then. Failures are timed.
        pub fn exhausted_answers(
            mut self,
        ) -> FallbackBuilder<EveryError<J>, Q, M, AlwaysAnswers, T> {
            self.settings.timed = true;
            let answers = AlwaysAnswers(self.conclude);
            self.judge(EveryError).conclude(answers)
        }
    }

    impl<C, X, Q, M, Y, T> FallbackBuilder<Responses<C, X>, Q, M, Y, T> {
        /// Judges answers and errors by a closure or another [`Classify`](crate::core::Classify): failures descend,
        /// and so do refusals; what is neutral or a success goes to the caller.
        pub fn classify<K>(self, classify: K) -> FallbackBuilder<Responses<K, X>, Q, M, Y, T> {
            self.judge(|judge| Responses {
                classify,
                explain: judge.explain,
            })
        }

        /// Says what errors mean, where `Display` cannot: which of a client's errors are failed connections, say.
        pub fn causes<F, E>(
            self,
            causes: F,
        ) -> FallbackBuilder<Responses<C, ByClosure<F>>, Q, M, Y, T>
        where
            F: Fn(&E) -> Cause,
        {
            self.judge(|judge| Responses {
                classify: judge.classify,
                explain: ByClosure(causes),
            })
        }
    }
}

impl Settings {
    /// Takes a tier's name, and gives its place.
    fn add(&mut self, name: &'static str) -> usize {
        let index = self.names.len();
        let wrong = if self.names.contains(&name) {
            Some("each tier of a chain needs a name of its own")
        } else if name == PRIMARY {
            Some("that is what the service itself is called")
        } else if name.is_empty()
            || name.len() > 128
            || !name.bytes().all(|byte| byte.is_ascii_graphic())
        {
            Some("a name is 1 to 128 visible ASCII characters")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            let refused = ConfigError::new("tier", format_args!("{name:?}"), wrong);
            self.wrong.get_or_insert(refused);
        }
        self.names.push(name);
        index
    }

    fn has_extras(&self) -> bool {
        self.within.is_some() || self.timed || self.bounded || self.dependency.is_some()
    }

    fn keep_duration(&mut self, field: &'static str, given: Option<Duration>) {
        if let Some(Err(refused)) = given.map(|given| config::duration(field, given)) {
            self.wrong.get_or_insert(refused);
        }
    }
}

impl<J, Q, M, X, T: fmt::Debug> fmt::Debug for FallbackBuilder<J, Q, M, X, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackBuilder")
            .field("tiers", &self.tiers)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
