//! What only chains of HTTP and gRPC services can be told.

use std::future::Future;

use http::Request;

use super::{FallbackBuilder, With, ending::Ended};
use crate::{
    core::Cause,
    fallback::{
        answers::{AlwaysAnswers, Answers},
        asks::{Head, Whole},
        failed::Failed,
        judge::{EveryError, Responses},
        requests::{ByClosure, Cloned, HttpRequests, Sources},
        tier::{FnTier, LastTier, ServiceTier, Tier},
        watch::Watching,
    },
};

/// A chain that always answers, by its last tier or by a 503.
type Answering<A, J, P, M, T, W> = Ended<A, EveryError<J>, HttpRequests<P>, M, AlwaysAnswers, T, W>;

impl<J, P, M, X, T, W> FallbackBuilder<J, HttpRequests<P>, M, X, T, W> {
    /// Names all requests safe, whatever their method: none of them has an effect.
    pub fn safe(mut self) -> Self {
        self.plan.requests.rules.safe = |_| true;
        self
    }

    /// Lets writes go elsewhere even if they may have had their effect, where they carry an `Idempotency-Key`
    /// header (metadata, on gRPC), not an empty one, that primary and tiers heed together. Without, one goes elsewhere only
    /// where it was certainly not sent; else its caller gets the failure as it is.
    pub fn idempotent(mut self) -> Self {
        self.plan.requests.rules.idempotent = true;
        self
    }

    /// Adds a tier that is a service of requests without their body (`http::Request<()>`). It is asked also where the
    /// body could not be kept; its mark says `head-only` if tiers before it were passed over for that.
    pub fn head_tier<S>(
        mut self,
        tier: Tier<S>,
    ) -> With<Head<ServiceTier<S>>, J, HttpRequests<P>, M, X, T, W> {
        let step = self
            .settings
            .step(tier.name, tier.timeout, Head(ServiceTier::of(tier)));
        self.or(step)
    }

    /// Adds a tier that is an async closure of requests without their body, which answers or fails. See
    /// [`head_tier`](Self::head_tier).
    pub fn head_tier_fn<F, Fut, Res, E>(
        mut self,
        name: &'static str,
        tier: F,
    ) -> With<Head<FnTier<F>>, J, HttpRequests<P>, M, X, T, W>
    where
        F: Fn(Failed<Request<()>>) -> Fut,
        Fut: Future<Output = Result<Res, E>>,
    {
        let step = self.settings.step(name, None, Head(FnTier(tier)));
        self.or(step)
    }
}

impl<J, P, M, T, W: Watching> FallbackBuilder<J, HttpRequests<P>, M, Answers, T, W> {
    /// Ends the chain by a tier that always answers, and makes the layer. Its error type is
    /// [`Infallible`](std::convert::Infallible): where a request may not descend, a failed answer goes to the
    /// caller as it is, and an error becomes a 503 (`UNAVAILABLE`).
    ///
    /// Fails as [`build`](FallbackBuilder::build) does.
    pub fn last<F, Fut, Req>(
        self,
        name: &'static str,
        tier: F,
    ) -> Answering<Whole<LastTier<F>>, J, P, M, T, W>
    where
        F: Fn(Failed<Req>) -> Fut,
        Fut: Future,
    {
        self.always_answers().end(name, Whole(LastTier(tier)))
    }

    /// Ends the chain by a tier that always answers from the request's head alone, so that a request whose body could
    /// not be kept gets there too. Else as [`last`](Self::last).
    pub fn last_head<F, Fut>(
        self,
        name: &'static str,
        tier: F,
    ) -> Answering<Head<LastTier<F>>, J, P, M, T, W>
    where
        F: Fn(Failed<Request<()>>) -> Fut,
        Fut: Future,
    {
        self.always_answers().end(name, Head(LastTier(tier)))
    }
}

impl<J, M, X, T, W> FallbackBuilder<J, HttpRequests, M, X, T, W> {
    /// Keeps requests by cloning them with their bodies, which must be `Clone`: for bodies that lie in memory.
    pub fn cloning(self) -> FallbackBuilder<J, HttpRequests<Cloned>, M, X, T, W> {
        self.plan(|plan| plan.with_requests(HttpRequests::cloned))
    }
}

impl<J, Q, M, T, W: Watching> FallbackBuilder<J, Q, M, Answers, T, W> {
    /// What nobody answered becomes a 503 (`UNAVAILABLE`), whatever the last tier's error was. The chain is
    /// infallible then. Failures are timed.
    pub fn exhausted_answers(
        self,
    ) -> FallbackBuilder<EveryError<J>, Q, M, AlwaysAnswers, T, W::AndTimed> {
        self.timed().always_answers()
    }
}

impl<J, Q, M, T, W> FallbackBuilder<J, Q, M, Answers, T, W> {
    fn always_answers(self) -> FallbackBuilder<EveryError<J>, Q, M, AlwaysAnswers, T, W> {
        self.plan(|plan| plan.with_conclude(AlwaysAnswers).with_judge(EveryError))
    }
}

impl<C, X, Q, M, Y, T, W> FallbackBuilder<Responses<C, X>, Q, M, Y, T, W> {
    /// Judges answers and errors by another [`Classify`](crate::core::Classify): failures descend, and so do refusals;
    /// what is neutral or a success goes to the caller.
    ///
    /// A closure will do where all tiers have bodies of the primary's type; else it takes a type that classifies
    /// answers of any body, as [`HttpStatus`](crate::http::HttpStatus) does.
    pub fn classify<K>(self, classify: K) -> FallbackBuilder<Responses<K, X>, Q, M, Y, T, W> {
        self.plan(|plan| {
            plan.with_judge(|judge| Responses {
                classify,
                explain: judge.explain,
            })
        })
    }

    /// Looks for a refused connection among an error's sources, where the error is a client's own type: hyper's,
    /// reqwest's, tonic's. Of boxed errors they are looked through without this.
    pub fn causes_from_sources(self) -> FallbackBuilder<Responses<C, Sources>, Q, M, Y, T, W> {
        self.plan(|plan| {
            plan.with_judge(|judge| Responses {
                classify: judge.classify,
                explain: Sources(()),
            })
        })
    }

    /// Says what errors mean, where `Display` cannot: which of a client's errors are failed connections, say.
    pub fn causes<F, E>(
        self,
        causes: F,
    ) -> FallbackBuilder<Responses<C, ByClosure<F>>, Q, M, Y, T, W>
    where
        F: Fn(&E) -> Cause,
    {
        self.plan(|plan| {
            plan.with_judge(|judge| Responses {
                classify: judge.classify,
                explain: ByClosure(causes),
            })
        })
    }
}
