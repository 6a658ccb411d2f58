use std::convert::Infallible;

use super::cause::Cause;

/// Keeps requests for the tiers, and says which of them may go elsewhere after which failure.
///
/// A call that may have had its effect is not made again elsewhere, unless its request is known to be safe or carries
/// an idempotency key.
pub trait Requests<Req> {
    /// What is kept while the primary has the request.
    type Kept;
    /// Shows that a request may not descend; [`Infallible`] where each may.
    type Stuck;

    /// Keeps what is needed to make the request again.
    fn keep(&self, request: &Req) -> Self::Kept;

    /// Keeps a request that was not given to anybody.
    fn whole(&self, request: Req) -> Self::Kept;

    /// The request again, if it may descend after that cause.
    ///
    /// # Errors
    ///
    /// Where it cannot be made again, or might have its effect twice.
    fn descend(&self, kept: Self::Kept, cause: &Cause) -> Result<Req, Self::Stuck>;
}

/// A request that may not descend.
#[derive(Clone, Copy, Debug)]
pub struct MayNotDescend(());

/// Every request is safe, or carries an idempotency key: each may descend after any failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Safe(pub(super) ());

impl<Req: Clone> Requests<Req> for Safe {
    type Kept = Req;
    type Stuck = Infallible;

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
    fn descend(&self, kept: Req, _: &Cause) -> Result<Req, Infallible> {
        Ok(kept)
    }
}

/// Every request may be a write: it descends only after causes that prove that it was not sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Writes(pub(super) ());

impl<Req: Clone> Requests<Req> for Writes {
    type Kept = Req;
    type Stuck = MayNotDescend;

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
    fn descend(&self, kept: Req, cause: &Cause) -> Result<Req, MayNotDescend> {
        if cause.proves_not_sent() {
            Ok(kept)
        } else {
            Err(MayNotDescend(()))
        }
    }
}

#[cfg(feature = "http")]
pub use self::messages::{Bodiless, Cloned, HttpRequests, KeptRequest, Replay, Rules};

#[cfg(feature = "http")]
mod messages {
    use std::marker::PhantomData;

    use http::{HeaderMap, Method, Request};
    use http_body::Body;

    use super::{Cause, MayNotDescend, Requests};

    /// How a request is made again.
    pub trait Replay<B> {
        /// A copy of the request, if there can be one.
        fn copy(request: &Request<B>) -> Option<Request<B>>;
    }

    /// Requests without a body are made again; others are not. Asks of the body only that it has an empty default.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Bodiless(());

    impl<B: Body + Default> Replay<B> for Bodiless {
        fn copy(request: &Request<B>) -> Option<Request<B>> {
            request.body().is_end_stream().then(|| {
                let (mut head, ()) = Request::new(()).into_parts();
                head.method = request.method().clone();
                head.uri = request.uri().clone();
                head.version = request.version();
                head.headers = request.headers().clone();
                head.extensions = request.extensions().clone();
                Request::from_parts(head, B::default())
            })
        }
    }

    /// Requests are cloned with their body.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Cloned(());

    impl<B: Clone> Replay<B> for Cloned {
        fn copy(request: &Request<B>) -> Option<Request<B>> {
            Some(request.clone())
        }
    }

    /// Which HTTP requests may have their effect twice.
    #[derive(Clone, Copy, Debug)]
    pub struct Rules {
        pub(in crate::fallback) safe: fn(&Method) -> bool,
        pub(in crate::fallback) idempotent: bool,
    }

    impl Rules {
        /// By method: GET, HEAD, OPTIONS and TRACE are safe.
        pub(in crate::fallback) const HTTP: Self = Self {
            safe: Method::is_safe,
            idempotent: false,
        };
        /// No call is safe.
        #[cfg(feature = "grpc")]
        pub(in crate::fallback) const GRPC: Self = Self {
            safe: |_| false,
            idempotent: false,
        };

        fn may_repeat(self, method: &Method, headers: &HeaderMap) -> bool {
            (self.safe)(method) || self.idempotent && headers.contains_key("idempotency-key")
        }
    }

    /// Keeps HTTP and gRPC requests by the given replay, under the given rules.
    #[derive(Clone, Copy, Debug)]
    pub struct HttpRequests<P = Bodiless> {
        pub(in crate::fallback) rules: Rules,
        replay: PhantomData<P>,
    }

    impl HttpRequests {
        pub(in crate::fallback) const fn new(rules: Rules) -> Self {
            let replay = PhantomData;
            Self { rules, replay }
        }

        pub(in crate::fallback) const fn cloned(self) -> HttpRequests<Cloned> {
            HttpRequests {
                rules: self.rules,
                replay: PhantomData,
            }
        }
    }

    /// A kept request, and whether it may have its effect twice.
    #[derive(Debug)]
    pub struct KeptRequest<B> {
        request: Option<Request<B>>,
        may_repeat: bool,
    }

    impl<B, P: Replay<B>> Requests<Request<B>> for HttpRequests<P> {
        type Kept = KeptRequest<B>;
        type Stuck = MayNotDescend;

        fn keep(&self, request: &Request<B>) -> KeptRequest<B> {
            KeptRequest {
                request: P::copy(request),
                may_repeat: self.rules.may_repeat(request.method(), request.headers()),
            }
        }

        fn whole(&self, request: Request<B>) -> KeptRequest<B> {
            KeptRequest {
                request: Some(request),
                may_repeat: true,
            }
        }

        fn descend(
            &self,
            kept: KeptRequest<B>,
            cause: &Cause,
        ) -> Result<Request<B>, MayNotDescend> {
            match kept.request {
                Some(request) if kept.may_repeat || cause.proves_not_sent() => Ok(request),
                _ => Err(MayNotDescend(())),
            }
        }
    }
}
