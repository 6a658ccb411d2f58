//! HTTP and gRPC requests: a head that can always be made again, and a body that often cannot.

use std::marker::PhantomData;

use http::{HeaderValue, Method, Request};
use http_body::Body;

use super::{Heads, MayNotDescend, Requests, head::Head};
use crate::{core::Cause, http::ReplayBody};

/// A request body of which there may be another.
#[diagnostic::on_unimplemented(
    message = "a chain cannot make requests with the body `{Self}` again",
    note = "bodies that are `Default` are made again where they are empty; put a `brownout::http::ReplayLayer` outside the chain for others, or say `.cloning()` where the body is `Clone`"
)]
pub trait ReplayableBody: Sized {
    /// The same body again, from its beginning; none where that cannot be had.
    fn again(&self) -> Option<Self>;
}

/// An empty body is as good as any other.
impl<B: Body + Default> ReplayableBody for B {
    fn again(&self) -> Option<Self> {
        self.is_end_stream().then(B::default)
    }
}

/// What a [`ReplayLayer`](crate::http::ReplayLayer) has kept.
impl<B: Body> ReplayableBody for ReplayBody<B> {
    fn again(&self) -> Option<Self> {
        Self::again(self)
    }
}

/// How the body of a request is made again.
pub trait Replay<B> {
    /// The same body again, if there can be one.
    fn again(body: &B) -> Option<B>;
}

/// Bodies are made again where [`ReplayableBody`] says that they can be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bodies(());

impl<B: ReplayableBody> Replay<B> for Bodies {
    fn again(body: &B) -> Option<B> {
        body.again()
    }
}

/// Bodies are cloned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cloned(());

impl<B: Clone> Replay<B> for Cloned {
    fn again(body: &B) -> Option<B> {
        Some(body.clone())
    }
}

/// Which HTTP requests may have their effect twice.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub(crate) safe: fn(&Method) -> bool,
    pub(crate) idempotent: bool,
}

impl Rules {
    /// By method: GET, HEAD, OPTIONS and TRACE are safe.
    pub(crate) const HTTP: Self = Self {
        safe: Method::is_safe,
        idempotent: false,
    };
    /// No call is safe.
    #[cfg(feature = "grpc")]
    pub(crate) const GRPC: Self = Self {
        safe: |_| false,
        idempotent: false,
    };

    fn may_repeat(self, head: &Head) -> bool {
        let has_key = || head.header("idempotency-key").is_some_and(is_key);
        (self.safe)(head.method()) || self.idempotent && has_key()
    }
}

/// Keeps HTTP and gRPC requests by the given replay, under the given rules.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequests<P = Bodies> {
    pub(crate) rules: Rules,
    replay: PhantomData<P>,
}

impl HttpRequests {
    pub(crate) const fn new(rules: Rules) -> Self {
        let replay = PhantomData;
        Self { rules, replay }
    }

    pub(crate) const fn cloned(self) -> HttpRequests<Cloned> {
        HttpRequests {
            rules: self.rules,
            replay: PhantomData,
        }
    }
}

/// A kept request: its head, and its body where that can be made again.
#[derive(Debug)]
pub struct KeptRequest<B> {
    head: Head,
    body: Option<B>,
}

impl<B, P: Replay<B>> Requests<Request<B>> for HttpRequests<P> {
    type Kept = KeptRequest<B>;
    type Stuck = MayNotDescend;

    fn keep(&self, request: &Request<B>) -> KeptRequest<B> {
        KeptRequest {
            head: Head::of(request),
            body: P::again(request.body()),
        }
    }

    fn whole(&self, request: Request<B>) -> KeptRequest<B> {
        KeptRequest {
            head: Head::of(&request),
            body: Some(request.into_body()),
        }
    }

    fn may_descend(&self, kept: &KeptRequest<B>, cause: &Cause) -> Result<(), MayNotDescend> {
        if cause.proves_not_sent() || self.rules.may_repeat(&kept.head) {
            Ok(())
        } else {
            Err(MayNotDescend(()))
        }
    }

    fn has_effect(&self, kept: &KeptRequest<B>) -> bool {
        !(self.rules.safe)(kept.head.method())
    }

    fn again(&self, kept: KeptRequest<B>) -> (Option<Request<B>>, KeptRequest<B>) {
        let KeptRequest { head, body } = kept;
        // A body that was given to nobody is given away even where there is no other.
        let other = body.as_ref().and_then(P::again);
        let request = body.map(|body| head.clone().request(body));
        (request, KeptRequest { head, body: other })
    }

    fn last(&self, kept: KeptRequest<B>) -> Result<Request<B>, MayNotDescend> {
        match kept.body {
            Some(body) => Ok(kept.head.request(body)),
            None => Err(MayNotDescend(())),
        }
    }

    fn is_safe(&self, request: &Request<B>) -> bool {
        (self.rules.safe)(request.method())
    }
}

impl<B, P: Replay<B>> Heads<Request<B>> for HttpRequests<P> {
    type Head = Request<()>;

    fn head(&self, kept: &KeptRequest<B>) -> Request<()> {
        kept.head.clone().request(())
    }
}

/// An empty key, or a string of nothing, tells no request from another.
fn is_key(value: &HeaderValue) -> bool {
    value.as_bytes().iter().any(|byte| !b" \t\"".contains(byte))
}
