//! What a flag that falls through can be told.

use crate::core::{
    Cause,
    requests::{ByClosure, ByDisplay, Idempotent, Safe, Writes},
};

use super::{
    fall::OfResults, layer::FlagLayer, service::Parts, standby::Instead, through::FallThrough,
};

/// Calls of plain services. What [`FlagLayer::for_results`] picks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain(());

/// A service that stands in, with errors that a closure explains.
type Explained<T, Q, F> = FallThrough<T, Q, OfResults<ByClosure<F>>>;

impl Plain {
    pub(super) const fn new() -> Self {
        Self(())
    }
}

impl<O, R, M, T, X> FlagLayer<O, R, M, Instead<T>, X> {
    /// Sends calls that the service fails on to the degraded service, while the flag is enabled too.
    ///
    /// They are the failures that the flag counts, and refusals by a layer further in. Requests may be writes, which go
    /// on only where it is certain that they were not sent, unless [`safe`](FlagLayer::safe) or
    /// [`idempotent`](FlagLayer::idempotent) says otherwise; who may not go on gets the failure as it is. A request is
    /// cloned for each call. See [the chapter](super#falling-through).
    pub fn fall_through(
        self,
    ) -> FlagLayer<O, R, M, FallThrough<T, Writes, OfResults<ByDisplay>>, X> {
        self.with_degraded(|Instead(service)| FallThrough {
            service,
            requests: Writes(()),
            causes: OfResults(ByDisplay(())),
        })
    }
}

impl<O, R, M, T, C, X> FlagLayer<O, R, M, FallThrough<T, Writes, C>, X> {
    /// Names all requests safe: none of them has an effect, so that each may go on whatever has happened to it.
    pub fn safe(self) -> FlagLayer<O, R, M, FallThrough<T, Safe, C>, X> {
        self.with_degraded(|through| through.requests(|_| Safe(())))
    }

    /// All requests carry an idempotency key that the service and the degraded one heed together, so that each may go on
    /// whatever has happened to it.
    pub fn idempotent(self) -> FlagLayer<O, R, M, FallThrough<T, Idempotent, C>, X> {
        self.with_degraded(|through| through.requests(|_| Idempotent(())))
    }
}

impl<O, R, M, T, Q, Y, X> FlagLayer<O, R, M, FallThrough<T, Q, OfResults<Y>>, X> {
    /// Says what errors mean, where `Display` cannot: which of them are refusals, which timeouts.
    pub fn causes<F, E>(self, causes: F) -> FlagLayer<O, R, M, Explained<T, Q, F>, X>
    where
        F: Fn(&E) -> Cause,
    {
        self.with_degraded(|through| through.causes(OfResults(ByClosure(causes))))
    }
}

impl<O, R, M, D, X, P> FlagLayer<O, R, M, D, X, P> {
    fn with_degraded<G>(self, degraded: impl FnOnce(D) -> G) -> FlagLayer<O, R, M, G, X, P> {
        let Self { flag, parts, calls } = self;
        let parts = Parts {
            observe: parts.observe,
            reject: parts.reject,
            mark: parts.mark,
            degraded: degraded(parts.degraded),
            disabled: parts.disabled,
        };
        FlagLayer { flag, parts, calls }
    }
}

impl<T, Q, C> FallThrough<T, Q, C> {
    fn requests<N>(self, requests: impl FnOnce(Q) -> N) -> FallThrough<T, N, C> {
        FallThrough {
            service: self.service,
            requests: requests(self.requests),
            causes: self.causes,
        }
    }

    fn causes<N>(self, causes: N) -> FallThrough<T, Q, N> {
        FallThrough {
            service: self.service,
            requests: self.requests,
            causes,
        }
    }
}

#[cfg(feature = "http")]
pub use self::messages::Messages;

#[cfg(feature = "http")]
mod messages {
    use super::{super::fall::OfMessages, ByClosure, Cause, FallThrough, FlagLayer, Instead};
    use crate::core::requests::{Bodies, Cloned, HttpRequests, Rules, Sources, Transport};

    /// Calls of HTTP or gRPC services. What [`FlagLayer::for_http`] and `for_grpc` pick.
    #[derive(Clone, Copy, Debug)]
    pub struct Messages(Rules);

    impl Messages {
        pub(in crate::flag) const HTTP: Self = Self(Rules::HTTP);
        #[cfg(feature = "grpc")]
        pub(in crate::flag) const GRPC: Self = Self(Rules::GRPC);
    }

    type Through<T, P, Y> = FallThrough<T, HttpRequests<P>, OfMessages<Y>>;

    /// A layer whose failed calls go on.
    type Onward<O, R, M, T, P, Y, X> = FlagLayer<O, R, M, Through<T, P, Y>, X, Messages>;

    impl<O, R, M, T, X> FlagLayer<O, R, M, Instead<T>, X, Messages> {
        /// Sends calls that the service fails on to the degraded service, while the flag is enabled too.
        ///
        /// They are the failures that the flag counts by the answer's head, and refusals by a layer further in. GET,
        /// HEAD, OPTIONS and TRACE go on after each of them, other methods and all gRPC calls only where it is certain
        /// that they were not sent, unless [`safe`](Self::safe) or [`idempotent`](Self::idempotent) says otherwise; who
        /// may not go on gets the failure as it is. Requests without a body are made again; others below a
        /// [`ReplayLayer`](crate::http::ReplayLayer), or with [`cloning`](Self::cloning). See
        /// [the chapter](crate::flag#falling-through).
        pub fn fall_through(self) -> Onward<O, R, M, T, Bodies, Transport, X> {
            let Messages(rules) = self.calls;
            self.with_degraded(|Instead(service)| FallThrough {
                service,
                requests: HttpRequests::new(rules),
                causes: OfMessages(Transport(())),
            })
        }
    }

    impl<O, R, M, T, P, Y, X> FlagLayer<O, R, M, Through<T, P, Y>, X, Messages> {
        /// Names all requests safe, whatever their method: none of them has an effect.
        pub fn safe(mut self) -> Self {
            self.parts.degraded.requests.rules.safe = |_| true;
            self
        }

        /// Lets writes go on even if they may have had their effect, where they carry an `Idempotency-Key` header
        /// (metadata, on gRPC), not an empty one, that the service and the degraded one heed together.
        pub fn idempotent(mut self) -> Self {
            self.parts.degraded.requests.rules.idempotent = true;
            self
        }

        /// Looks for a refused connection among an error's sources, where the error is a client's own type: hyper's,
        /// reqwest's, tonic's. Of boxed errors they are looked through without this.
        pub fn causes_from_sources(self) -> Onward<O, R, M, T, P, Sources, X> {
            self.with_degraded(|through| through.causes(OfMessages(Sources(()))))
        }

        /// Says what errors mean, where `Display` cannot: which of a client's errors are failed connections, say.
        pub fn causes<F, E>(self, causes: F) -> Onward<O, R, M, T, P, ByClosure<F>, X>
        where
            F: Fn(&E) -> Cause,
        {
            self.with_degraded(|through| through.causes(OfMessages(ByClosure(causes))))
        }
    }

    impl<O, R, M, T, Y, X> Onward<O, R, M, T, Bodies, Y, X> {
        /// Keeps requests by cloning them with their bodies, which must be `Clone`: for bodies that lie in memory.
        pub fn cloning(self) -> Onward<O, R, M, T, Cloned, Y, X> {
            self.with_degraded(|through| through.requests(HttpRequests::cloned))
        }
    }
}
