use std::{
    fmt,
    hash::Hash,
    task::{Context, Poll},
};

use tower_service::Service;

use crate::core::{Observe, Reject, Settle, unwind::OnUnwind};

use super::{future::ResponseFuture, keyed::KeyedCircuits, ticket::Ticket};

/// A service behind a circuit for each key. Made by
/// [`CircuitBreakerLayer::keyed`](super::CircuitBreakerLayer::keyed).
pub struct KeyedCircuitBreaker<S, K, F, O, R> {
    inner: S,
    circuits: KeyedCircuits<K>,
    key: F,
    observe: O,
    reject: R,
}

impl<S, K, F, O, R> KeyedCircuitBreaker<S, K, F, O, R> {
    pub(super) fn new(inner: S, circuits: KeyedCircuits<K>, key: F, observe: O, reject: R) -> Self {
        Self {
            inner,
            circuits,
            key,
            observe,
            reject,
        }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the circuit breaker off.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, Req, K, F, O, R> Service<Req> for KeyedCircuitBreaker<S, K, F, O, R>
where
    S: Service<Req>,
    F: Fn(&Req) -> K,
    K: Hash + Eq + Clone + fmt::Display,
    O: Observe<Ticket, S::Response, S::Error> + Clone,
    R: Reject<O::Response, S::Error> + Clone,
{
    type Response = R::Response;
    type Error = R::Error;
    type Future = ResponseFuture<S::Future, O, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner
            .poll_ready(cx)
            .map_err(|error| self.reject.fail(error))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let cell = self.circuits.cell((self.key)(&request));
        let pass = cell.admit();
        let mut ticket = Ticket::new(cell, pass);
        self.circuits.counted(!ticket.is_refused());
        let (observe, reject) = (self.observe.clone(), self.reject.clone());
        if ticket.is_refused() {
            return ResponseFuture::new(None, ticket, observe, reject);
        }
        let unwinding = OnUnwind(|| ticket.take().failure());
        let future = self.inner.call(request);
        unwinding.disarm();
        ResponseFuture::new(Some(future), ticket, observe, reject)
    }
}

impl<S: Clone, K, F: Clone, O: Clone, R: Clone> Clone for KeyedCircuitBreaker<S, K, F, O, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            circuits: self.circuits.clone(),
            key: self.key.clone(),
            observe: self.observe.clone(),
            reject: self.reject.clone(),
        }
    }
}

impl<S: fmt::Debug, K, F, O, R> fmt::Debug for KeyedCircuitBreaker<S, K, F, O, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedCircuitBreaker")
            .field("inner", &self.inner)
            .field("circuits", &self.circuits)
            .finish_non_exhaustive()
    }
}
