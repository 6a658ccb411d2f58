use std::{fmt, time::Duration};

use brownout_registry::Dependency;
use tower_layer::Layer;

use crate::core::{AtHead, ErrIsFailure, ErrWith, Rejected, Same};

use super::{
    circuit::Circuit,
    keyed::KeyedCircuits,
    keyed_service::KeyedCircuitBreaker,
    policy::Policy,
    service::{CircuitBreaker, ReadinessOptions},
};

/// Puts services behind a circuit.
///
/// The circuit lives in the layer: however often the layer is applied (axum applies one for each route and
/// connection), all services share it. It becomes a [`Layer`] once it knows how to judge: after
/// [`for_http`](Self::for_http), [`for_grpc`](Self::for_grpc), [`for_results`](Self::for_results) or
/// [`observe`](Self::observe).
///
/// ```
/// # use brownout::{Registry, breaker::CircuitBreakerLayer};
/// # use tower::{ServiceBuilder, ServiceExt, BoxError, service_fn};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// let registry = Registry::new();
/// let greeter = registry.dependency("greeter").register()?;
///
/// let service = ServiceBuilder::new()
///     .layer(CircuitBreakerLayer::new(&greeter).for_results())
///     .service(service_fn(|name: &'static str| async move {
///         Ok::<_, BoxError>(format!("hello {name}"))
///     }));
/// assert_eq!(service.oneshot("world").await?, "hello world");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct CircuitBreakerLayer<O = Unjudged, R = Same, C = Circuit> {
    circuits: C,
    observe: O,
    reject: R,
    readiness: ReadinessOptions,
}

/// What a [`CircuitBreakerLayer`] judges by before it was told: nothing, so that nobody gets a breaker to which a
/// 500 is a success.
// Not `Clone`, so that a stack without a judge fails to compile where it is built. The compiler then shows the line of
// the struct and no more, which is why the way out stands on it.
#[derive(Debug)]
pub struct Unjudged(()); // say how calls are judged: `.for_http()`, `.for_grpc()`, `.for_results()` or `.classify(…)`

/// A circuit for each key, and how to find a request's key.
#[derive(Clone)]
pub struct ByKey<K, F> {
    circuits: KeyedCircuits<K>,
    key: F,
}

impl CircuitBreakerLayer {
    /// A new circuit with the default policy, which guards `dependency`.
    ///
    /// Each call makes a circuit of its own: two clients of one dependency that should open together share one, by
    /// clones of this layer or [`with`](Self::with).
    pub fn new(dependency: &Dependency) -> Self {
        Self::with(Circuit::new(dependency))
    }

    /// A circuit made before, which may be attached in several places and steered from anywhere.
    pub fn with(circuit: Circuit) -> Self {
        Self::over(circuit)
    }
}

impl<K, F> CircuitBreakerLayer<Unjudged, Same, ByKey<K, F>> {
    /// A circuit for each key that `key` finds in requests.
    ///
    /// The key is known only with the call, so readiness is the inner service's alone: an open circuit refuses the
    /// call, after the inner service has become ready, and readiness errors are not counted.
    ///
    /// ```
    /// # use brownout::{Registry, breaker::{CircuitBreakerLayer, KeyedCircuits}};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let shards = Registry::new().dependency("shards").register()?;
    /// let circuits = KeyedCircuits::new(&shards);
    /// let layer = CircuitBreakerLayer::keyed(circuits, |user: &u64| user % 8).for_results();
    /// # let _ = layer; Ok(()) }
    /// ```
    pub fn keyed<Req>(circuits: KeyedCircuits<K>, key: F) -> Self
    where
        F: Fn(&Req) -> K,
    {
        Self::over(ByKey { circuits, key })
    }
}

impl<C> CircuitBreakerLayer<Unjudged, Same, C> {
    fn over(circuits: C) -> Self {
        Self {
            circuits,
            observe: Unjudged(()),
            reject: Same,
            readiness: ReadinessOptions::default(),
        }
    }

    /// Judges only by `Ok` and `Err`, and refuses by the service's own error type, which must be
    /// [`From<Rejected>`](Rejected).
    pub fn for_results(self) -> CircuitBreakerLayer<AtHead<ErrIsFailure>, Same, C> {
        self.observe(AtHead(ErrIsFailure)).reject(Same)
    }

    /// Judges HTTP calls by their status and by whether their body arrives, and refuses with a 503.
    ///
    /// An error and a 5xx fail, a 4xx is neutral. See [`crate::http`].
    #[cfg(feature = "http")]
    pub fn for_http(
        self,
    ) -> CircuitBreakerLayer<crate::http::AtEnd<crate::http::HttpStatus>, crate::http::Unavailable, C>
    {
        self.observe(crate::http::AtEnd::new(crate::http::HttpStatus::new()))
            .reject(crate::http::Unavailable::new())
    }

    /// Judges gRPC calls by their status, in head or trailers, and refuses with `UNAVAILABLE`. See [`crate::grpc`].
    #[cfg(feature = "grpc")]
    pub fn for_grpc(
        self,
    ) -> CircuitBreakerLayer<
        crate::http::AtEnd<crate::grpc::GrpcStatus>,
        crate::grpc::GrpcUnavailable,
        C,
    > {
        self.observe(crate::grpc::at_end())
            .reject(crate::grpc::GrpcUnavailable::new())
    }
}

impl<O, R, C> CircuitBreakerLayer<O, R, C> {
    /// Says when calls are judged and by whom, instead of the way that was picked before.
    pub fn observe<P>(self, observe: P) -> CircuitBreakerLayer<P, R, C> {
        CircuitBreakerLayer {
            circuits: self.circuits,
            observe,
            reject: self.reject,
            readiness: self.readiness,
        }
    }

    /// Judges calls by a closure or another [`Classify`](crate::core::Classify), as soon as the answer is there.
    pub fn classify<K>(self, classify: K) -> CircuitBreakerLayer<AtHead<K>, R, C> {
        self.observe(AtHead(classify))
    }

    /// Says what a refused call turns into.
    pub fn reject<Q>(self, reject: Q) -> CircuitBreakerLayer<O, Q, C> {
        CircuitBreakerLayer {
            circuits: self.circuits,
            observe: self.observe,
            reject,
            readiness: self.readiness,
        }
    }

    /// Says it by a closure, which answers or fails with the service's own types.
    pub fn reject_with<F, Res, E>(self, reject: F) -> CircuitBreakerLayer<O, ErrWith<F>, C>
    where
        F: Fn(Rejected) -> Result<Res, E>,
    {
        self.reject(ErrWith(reject))
    }
}

impl<O, R> CircuitBreakerLayer<O, R> {
    /// Replaces the policy; the same as [`Circuit::reconfigure`].
    pub fn policy(self, policy: Policy) -> Self {
        self.circuits.reconfigure(policy);
        self
    }

    /// Waits at most so long for the inner service to become ready. After that the call counts as a failure and is
    /// refused. By default the wait has no end, except where the call would be a probe: then it is the lease.
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.readiness.ready_within = Some(limit);
        self
    }

    /// Is not ready while the circuit is open, instead of refusing calls: for a balancer, which then picks another
    /// endpoint. Never do this where callers queue for a single service.
    pub fn wait_while_open(mut self) -> Self {
        self.readiness.wait_while_open = true;
        self
    }

    /// The circuit, to inspect and steer it.
    pub fn circuit(&self) -> &Circuit {
        &self.circuits
    }
}

impl<O, R, K, F> CircuitBreakerLayer<O, R, ByKey<K, F>> {
    /// The circuits, to inspect and steer them.
    pub fn circuits(&self) -> &KeyedCircuits<K> {
        &self.circuits.circuits
    }
}

impl<S, O, R> Layer<S> for CircuitBreakerLayer<O, R>
where
    O: Clone,
    R: Clone,
{
    type Service = CircuitBreaker<S, O, R>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreaker::new(
            inner,
            self.circuits.clone(),
            self.observe.clone(),
            self.reject.clone(),
            self.readiness,
        )
    }
}

impl<S, O, R, K, F> Layer<S> for CircuitBreakerLayer<O, R, ByKey<K, F>>
where
    O: Clone,
    R: Clone,
    F: Clone,
{
    type Service = KeyedCircuitBreaker<S, K, F, O, R>;

    fn layer(&self, inner: S) -> Self::Service {
        KeyedCircuitBreaker::new(
            inner,
            self.circuits.circuits.clone(),
            self.circuits.key.clone(),
            self.observe.clone(),
            self.reject.clone(),
        )
    }
}

impl<O, R, C: fmt::Debug> fmt::Debug for CircuitBreakerLayer<O, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerLayer")
            .field("circuits", &self.circuits)
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}

impl<K, F> fmt::Debug for ByKey<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByKey").field(&self.circuits).finish()
    }
}
