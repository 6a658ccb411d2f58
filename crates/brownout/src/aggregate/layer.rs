use tower_layer::Layer;

use crate::core::Same;

use super::{
    builder::AggregateBuilder,
    form::Pairs,
    many_builder::AggregateManyBuilder,
    service::{Aggregate, Gatherer},
};

/// Asks several services for parts of an answer, in front of the service that composes it.
///
/// It begins with [`for_http`](Self::for_http), [`for_grpc`](Self::for_grpc) or [`for_results`](Self::for_results),
/// which say what is fanned out and how the composing service gets the parts, and ends with
/// [`build`](AggregateBuilder::build), which refuses what is configured wrongly.
///
/// ```
/// # use std::time::Duration;
/// # use brownout::aggregate::{AggregateLayer, PartKey, PartOutcome, Parts};
/// # use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
/// # struct Profile;
/// # impl PartKey for Profile { type Value = String; const NAME: &'static str = "profile"; }
/// # struct Recs;
/// # impl PartKey for Recs { type Value = Vec<u32>; const NAME: &'static str = "recommendations"; }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// # let profiles = service_fn(|user: u32| async move { Ok::<_, BoxError>(format!("user {user}")) });
/// # let recommender = service_fn(|_: u32| async { Err::<Vec<u32>, BoxError>("down".into()) });
/// let dashboard = ServiceBuilder::new()
///     .layer(
///         AggregateLayer::for_results::<u32>()
///             .part(Profile, profiles)
///             .optional(Recs, recommender)
///             .timeout(Duration::from_millis(300))
///             .within(Duration::from_secs(3))
///             .build()?,
///     )
///     .service_fn(|(_user, parts): (u32, Parts<(String, PartOutcome<Vec<u32>>)>)| async move {
///         let (profile, recs) = parts.into_values();
///         Ok::<_, BoxError>((profile, recs.into_value().unwrap_or_default()))
///     });
/// assert_eq!(dashboard.oneshot(7).await?, ("user 7".to_owned(), vec![]));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct AggregateLayer<L = (), F = (), X = ()> {
    pub(super) gather: Gatherer<L, F, X>,
}

impl AggregateLayer {
    /// An aggregate for services of any kind. Parts see the request; the composing service gets
    /// `(Request, `[`Parts`](super::Parts)`)`. A call whose required part is missing fails with its own error type,
    /// which is `From<`[`RequiredPart`](super::RequiredPart)`>`.
    ///
    /// Where the type of requests is not said (`for_results::<Request>()`), closures must say it.
    pub const fn for_results<Req>() -> AggregateBuilder<Req, Pairs, Same> {
        AggregateBuilder::new(Pairs(()), Same)
    }

    /// The same with parts that are known only at run time. They are all of one type, and they leave a `Vec` of
    /// [`PartOutcome`](super::PartOutcome)s.
    pub const fn for_many<Req, S>() -> AggregateManyBuilder<Req, S> {
        AggregateManyBuilder::new()
    }
}

#[cfg(feature = "http")]
mod messages {
    use super::{AggregateBuilder, AggregateLayer};
    use crate::{aggregate::http::InExtensions, http::Unavailable};

    impl AggregateLayer {
        /// An aggregate for an HTTP service: a router, a handler. Parts see the request's head; the body goes to the
        /// service that composes the answer, which finds the parts as [`PartValues`](crate::aggregate::PartValues) in
        /// the request's extensions. On axum a handler takes them as arguments, with the feature `axum`.
        ///
        /// A call whose required part is missing is answered with a 503, and a partial answer carries
        /// [`Marks`](crate::core::Marks).
        pub const fn for_http() -> AggregateBuilder<http::request::Parts, InExtensions, Unavailable>
        {
            AggregateBuilder::new(InExtensions(()), Unavailable::new())
        }

        /// The same for a gRPC server. Extensions of the HTTP request are those of tonic's request. A call whose
        /// required part is missing is answered with `UNAVAILABLE`.
        #[cfg(feature = "grpc")]
        pub const fn for_grpc()
        -> AggregateBuilder<http::request::Parts, InExtensions, crate::grpc::GrpcUnavailable>
        {
            AggregateBuilder::new(InExtensions(()), crate::grpc::GrpcUnavailable::new())
        }
    }
}

impl<S, L, F, X> Layer<S> for AggregateLayer<L, F, X>
where
    Gatherer<L, F, X>: Clone,
{
    type Service = Aggregate<S, L, F, X>;

    fn layer(&self, inner: S) -> Self::Service {
        Aggregate::new(inner, self.gather.clone())
    }
}
