use std::fmt;

use tower_layer::Layer;

use crate::core::{AtHead, ErrIsFailure, ErrWith, MarkWith, Rejected, Same, Unmarked};

#[cfg(feature = "http")]
use super::falling::Messages;
use super::{
    falling::Plain,
    handle::Flag,
    service::{Flagged, Parts},
    standby::{Instead, Nobody},
};

/// Puts services, each the full form of a feature, behind the feature's flag.
///
/// It begins with [`for_http`](Self::for_http), [`for_grpc`](Self::for_grpc) or [`for_results`](Self::for_results),
/// which say how calls are judged, refused and marked. The flag lives outside: however often the layer is applied, all
/// services share it.
///
/// ```
/// # use brownout::{Registry, flag::{FlagLayer, Flags}, registry::FeatureState};
/// # use tower::{ServiceBuilder, BoxError, service_fn};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let flags = Flags::new(&Registry::new());
/// let recommendations = flags.flag("ml_recommendations")?;
///
/// let service = ServiceBuilder::new()
///     .layer(
///         FlagLayer::for_results(recommendations.clone())
///             .degraded(service_fn(|_: u32| async { Ok::<_, BoxError>("bestsellers") })),
///     )
///     .service(service_fn(|_: u32| async { Ok::<_, BoxError>("picked for you") }));
///
/// assert_eq!(service.clone().oneshot(7).await?, "picked for you");
/// recommendations.configure(FeatureState::Degraded);
/// assert_eq!(service.oneshot(7).await?, "bestsellers");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct FlagLayer<O = (), R = (), M = (), D = Nobody, X = Nobody, P = Plain> {
    pub(super) flag: Flag,
    pub(super) parts: Parts<O, R, M, D, X>,
    /// What kind of calls they are, which a flag that falls through has to know.
    pub(super) calls: P,
}

impl FlagLayer {
    /// For plain services: only an `Err` fails, calls are refused by the service's own error type, which must be
    /// [`From<Rejected>`](Rejected), and answers are not marked.
    ///
    /// To `for_results` a refusal by a layer further in is an error like any other. Where there is one, such as a
    /// circuit breaker, [`classify`](FlagLayer::classify) should call it neutral
    /// ([`refusal_of`](crate::core::refusal_of)): else the circuit drives the flag.
    pub fn for_results(flag: Flag) -> FlagLayer<AtHead<ErrIsFailure>, Same, Unmarked> {
        FlagLayer::new(flag, AtHead(ErrIsFailure), Same, Unmarked(()), Plain::new())
    }

    /// For HTTP services: judges by status and by whether the body arrives, refuses with a 503, and
    /// [marks](crate::core::Marks) the answers of whoever stands in.
    ///
    /// An error and a 5xx fail, a 4xx is neutral, and so is a refusal by a layer further in. See [`crate::http`].
    #[cfg(feature = "http")]
    pub fn for_http(
        flag: Flag,
    ) -> FlagLayer<
        crate::http::AtEnd<crate::http::HttpStatus>,
        crate::http::Unavailable,
        crate::core::InExtensions,
        Nobody,
        Nobody,
        Messages,
    > {
        FlagLayer::new(
            flag,
            crate::http::AtEnd::new(crate::http::HttpStatus::new()),
            crate::http::Unavailable::new(),
            crate::core::InExtensions(()),
            Messages::HTTP,
        )
    }

    /// For gRPC services and channels: judges by status, in head or trailers, and refuses with `UNAVAILABLE`. See
    /// [`crate::grpc`].
    #[cfg(feature = "grpc")]
    pub fn for_grpc(
        flag: Flag,
    ) -> FlagLayer<
        crate::http::AtEnd<crate::grpc::GrpcStatus>,
        crate::grpc::GrpcUnavailable,
        crate::core::InExtensions,
        Nobody,
        Nobody,
        Messages,
    > {
        FlagLayer::new(
            flag,
            crate::grpc::at_end(),
            crate::grpc::GrpcUnavailable::new(),
            crate::core::InExtensions(()),
            Messages::GRPC,
        )
    }
}

impl<O, R, M, P> FlagLayer<O, R, M, Nobody, Nobody, P> {
    fn new(flag: Flag, observe: O, reject: R, mark: M, calls: P) -> Self {
        Self {
            flag,
            parts: Parts {
                observe,
                reject,
                mark,
                degraded: Nobody(()),
                disabled: Nobody(()),
            },
            calls,
        }
    }
}

impl<O, R, M, D, X, C> FlagLayer<O, R, M, D, X, C> {
    /// Says when calls are judged and by whom, instead of the way that was picked before.
    pub fn observe<P>(self, observe: P) -> FlagLayer<P, R, M, D, X, C> {
        let Self { flag, parts, calls } = self;
        let parts = Parts {
            observe,
            reject: parts.reject,
            mark: parts.mark,
            degraded: parts.degraded,
            disabled: parts.disabled,
        };
        FlagLayer { flag, parts, calls }
    }

    /// Judges calls by a closure or another [`Classify`](crate::core::Classify), as soon as the answer is there.
    ///
    /// It also sees the answers of whoever stands in; what it says of them counts for nothing.
    pub fn classify<K>(self, classify: K) -> FlagLayer<AtHead<K>, R, M, D, X, C> {
        self.observe(AtHead(classify))
    }

    /// Says what a refused call turns into.
    pub fn reject<Q>(self, reject: Q) -> FlagLayer<O, Q, M, D, X, C> {
        let Self { flag, parts, calls } = self;
        let parts = Parts {
            observe: parts.observe,
            reject,
            mark: parts.mark,
            degraded: parts.degraded,
            disabled: parts.disabled,
        };
        FlagLayer { flag, parts, calls }
    }

    /// Says it by a closure, which answers or fails with the service's own types.
    pub fn reject_with<F, Res, E>(self, reject: F) -> FlagLayer<O, ErrWith<F>, M, D, X, C>
    where
        F: Fn(Rejected) -> Result<Res, E>,
    {
        self.reject(ErrWith(reject))
    }

    /// Marks the answers of whoever stands in by a closure.
    pub fn mark_with<F, Res>(self, mark: F) -> FlagLayer<O, R, MarkWith<F>, D, X, C>
    where
        F: Fn(&mut Res, crate::core::Degraded),
    {
        let Self { flag, parts, calls } = self;
        let parts = Parts {
            observe: parts.observe,
            reject: parts.reject,
            mark: MarkWith(mark),
            degraded: parts.degraded,
            disabled: parts.disabled,
        };
        FlagLayer { flag, parts, calls }
    }

    /// The simpler form of the feature: it gets the calls while the flag is degraded, and those that a ramp turns away.
    /// Without it they are refused.
    ///
    /// A clone of it is made for each such call, in whose future its readiness is waited for. How it fares counts for
    /// nothing, and its errors and panics go to the caller.
    pub fn degraded<T>(self, service: T) -> FlagLayer<O, R, M, Instead<T>, X, C> {
        let Self { flag, parts, calls } = self;
        let parts = Parts {
            observe: parts.observe,
            reject: parts.reject,
            mark: parts.mark,
            degraded: Instead(service),
            disabled: parts.disabled,
        };
        FlagLayer { flag, parts, calls }
    }

    /// What answers while the flag is disabled, in the same way. Without it, calls are refused.
    pub fn disabled<T>(self, service: T) -> FlagLayer<O, R, M, D, Instead<T>, C> {
        let Self { flag, parts, calls } = self;
        let parts = Parts {
            observe: parts.observe,
            reject: parts.reject,
            mark: parts.mark,
            degraded: parts.degraded,
            disabled: Instead(service),
        };
        FlagLayer { flag, parts, calls }
    }

    /// The flag, to inspect and steer it.
    pub fn flag(&self) -> &Flag {
        &self.flag
    }
}

impl<S, O, R, M, D, X, C> Layer<S> for FlagLayer<O, R, M, D, X, C>
where
    Parts<O, R, M, D, X>: Clone,
{
    type Service = Flagged<S, O, R, M, D, X>;

    fn layer(&self, inner: S) -> Self::Service {
        Flagged::new(inner, self.flag.clone(), self.parts.clone())
    }
}

impl<O, R, M, D, X, C> fmt::Debug for FlagLayer<O, R, M, D, X, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlagLayer")
            .field("flag", &self.flag)
            .finish_non_exhaustive()
    }
}
