use tower_layer::Layer;

use super::{
    builder::FallbackBuilder,
    conclude::OwnError,
    judge::Results,
    mark::Unmarked,
    plan::Plan,
    requests::{ByDisplay, Writes},
    service::Fallback,
    watch::{Chain, Exercised, Watched},
};
use crate::core::ErrIsFailure;

/// Puts tiers behind services, which answer when the service (the *primary*) cannot.
///
/// It begins with [`for_http`](Self::for_http), [`for_grpc`](Self::for_grpc) or [`for_results`](Self::for_results),
/// which say how the primary is judged and which requests may go elsewhere, and ends with
/// [`last`](FallbackBuilder::last), a tier that always answers, or with [`build`](FallbackBuilder::build). Either
/// refuses what is configured wrongly.
///
/// ```
/// # use std::{convert::Infallible, time::Duration};
/// # use brownout::fallback::{FallbackLayer, Tier};
/// # use tower::{ServiceBuilder, BoxError, service_fn};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// # let recommender = service_fn(|_: u32| async { Err::<Vec<u32>, _>(BoxError::from("down")) });
/// # let rules = service_fn(|_: u32| async { Err::<Vec<u32>, _>(BoxError::from("down too")) });
/// let service = ServiceBuilder::new()
///     .layer(
///         FallbackLayer::for_results()
///             .safe()
///             .tier(Tier::new("rules", rules).timeout(Duration::from_millis(200)))
///             .last("popular", |_| async { vec![1, 2, 3] })?,
///     )
///     .service(recommender);
/// let Ok::<_, Infallible>(answer) = service.oneshot(7).await;
/// assert_eq!(answer, [1, 2, 3]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct FallbackLayer<T = (), P = ()> {
    tiers: T,
    plan: P,
}

impl<T, P> FallbackLayer<T, P> {
    pub(super) fn new(tiers: T, plan: P) -> Self {
        Self { tiers, plan }
    }
}

impl<T, J, Q, M, X, C> FallbackLayer<T, Plan<J, Q, M, X, Watched<C>>> {
    /// A handle on the chain, by which its tiers can be watched and switched.
    ///
    /// There is one for each chain that [covers](FallbackBuilder::covering) a dependency, or was told anything else
    /// that is kept for the chain as a whole.
    pub fn chain(&self) -> Chain {
        self.plan.watch.chain()
    }
}

impl<T, J, Q, M, X> FallbackLayer<T, Plan<J, Q, M, X, Exercised>> {
    /// A handle on the chain, by which its tiers can be watched and switched.
    pub fn chain(&self) -> Chain {
        self.plan.watch.chain()
    }
}

impl FallbackLayer {
    /// A chain for a plain service: only an `Err` fails, and answers are not marked.
    ///
    /// Every request may be a write, unless [`safe`](FallbackBuilder::safe) says otherwise.
    pub fn for_results()
    -> FallbackBuilder<Results<ErrIsFailure, ByDisplay>, Writes, Unmarked, OwnError> {
        FallbackBuilder::new(
            Results {
                classify: ErrIsFailure,
                explain: ByDisplay(()),
            },
            Writes(()),
            Unmarked(()),
            OwnError(()),
        )
    }
}

#[cfg(feature = "http")]
mod messages {
    use super::{FallbackBuilder, FallbackLayer};
    use crate::{
        fallback::{
            answers::Answers,
            judge::Responses,
            mark::InExtensions,
            requests::{HttpRequests, Rules, Transport},
        },
        http::HttpStatus,
    };

    impl FallbackLayer {
        /// A chain for an HTTP service: an error, a 5xx and a refusal by an inner layer fail. Answers of tiers are
        /// [marked](crate::core::Marks) in their extensions.
        ///
        /// Methods that are not safe may be writes. Requests without a body are made again; others where a
        /// [`ReplayLayer`](crate::http::ReplayLayer) stands outside the chain, or with
        /// [`cloning`](FallbackBuilder::cloning).
        ///
        /// On axum the two belong in one `ServiceBuilder`, and so in one call of `Router::layer`: each such call gives
        /// what is inside a body of axum's own type, of which nobody can tell any more that it was kept.
        pub fn for_http()
        -> FallbackBuilder<Responses<HttpStatus, Transport>, HttpRequests, InExtensions, Answers>
        {
            FallbackBuilder::new(
                Responses {
                    classify: HttpStatus::new(),
                    explain: Transport(()),
                },
                HttpRequests::new(Rules::HTTP),
                InExtensions(()),
                Answers::HTTP,
            )
        }

        /// A chain for a gRPC service or channel: an error, a failing status in the head and a refusal by an inner
        /// layer fail. Answers of tiers are [marked](crate::core::Marks) in their extensions.
        ///
        /// A status that comes only with the trailers comes too late to ask somebody else. Every call may be a write,
        /// unless [`safe`](FallbackBuilder::safe) says otherwise. A call has a message and so a body, whose size nobody
        /// says: to make it again, put a [`ReplayLayer`](crate::http::ReplayLayer) outside the chain, with
        /// [`of_unknown_size`](crate::http::ReplayLayer::of_unknown_size) where all calls are unary.
        #[cfg(feature = "grpc")]
        pub fn for_grpc() -> FallbackBuilder<
            Responses<crate::grpc::GrpcStatus, Transport>,
            HttpRequests,
            InExtensions,
            Answers,
        > {
            FallbackBuilder::new(
                Responses {
                    classify: crate::grpc::GrpcStatus::new(),
                    explain: Transport(()),
                },
                HttpRequests::new(Rules::GRPC),
                InExtensions(()),
                Answers::GRPC,
            )
        }
    }
}

impl<S, T: Clone, P: Clone> Layer<S> for FallbackLayer<T, P> {
    type Service = Fallback<S, T, P>;

    fn layer(&self, primary: S) -> Self::Service {
        Fallback::new(primary, self.tiers.clone(), self.plan.clone())
    }
}
