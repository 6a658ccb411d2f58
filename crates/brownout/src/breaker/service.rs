use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tower_service::Service;

use crate::core::{Observe, Reject, RejectReason, Settle, unwind::OnUnwind};

use super::{
    circuit::Circuit,
    future::ResponseFuture,
    pass::{CLOSED_METERED, KIND, Pass, is_half_open, refuses_plainly},
    ticket::Ticket,
    waiting::Waiting,
};

/// A service behind a circuit. Made by [`CircuitBreakerLayer`](super::CircuitBreakerLayer).
///
/// While the circuit is open it is ready at once, without polling its inner service, and `call` is refused. A clone
/// shares the circuit and copies no readiness.
pub struct CircuitBreaker<S, O, R> {
    inner: S,
    circuit: Circuit,
    observe: O,
    reject: R,
    readiness: ReadinessOptions,
    ready: Ready,
    waiting: Option<Box<Waiting>>,
}

/// How a breaker waits for readiness.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReadinessOptions {
    pub(super) ready_within: Option<Duration>,
    pub(super) wait_while_open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    /// The circuit decides once the call is made: the inner service is ready, or was never asked.
    ToCall,
    /// The call will be refused, whatever changes meanwhile: the inner service was not made ready. By the open circuit,
    BypassOpen,
    /// by the half-open one,
    BypassHalfOpen,
    /// or by order of an operator.
    BypassByOrder,
    /// The inner service did not become ready in time.
    TimedOut,
}

impl<S, O, R> CircuitBreaker<S, O, R> {
    pub(super) fn new(
        inner: S,
        circuit: Circuit,
        observe: O,
        reject: R,
        readiness: ReadinessOptions,
    ) -> Self {
        Self {
            inner,
            circuit,
            observe,
            reject,
            readiness,
            ready: Ready::ToCall,
            waiting: None,
        }
    }

    /// The circuit, to inspect it.
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
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

impl<S, Req, O, R> Service<Req> for CircuitBreaker<S, O, R>
where
    S: Service<Req>,
    O: Observe<Ticket, S::Response, S::Error> + Clone,
    R: Reject<O::Response, S::Error> + Clone,
{
    type Response = R::Response;
    type Error = R::Error;
    type Future = ResponseFuture<S::Future, O, R>;

    // The three functions of a call are small, and each hands its values straight to the next: inlined, they stay in
    // registers, which halves the price of a call (`cargo xtask bench --rows breaker-consecutive`).
    #[allow(clippy::inline_always, reason = "measured, see above")]
    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let gate = self.circuit.gate();
        if gate & KIND <= CLOSED_METERED && self.waiting.is_none() {
            let unwinding = OnUnwind(|| self.circuit.cell().failed_readiness());
            let polled = self.inner.poll_ready(cx);
            unwinding.disarm();
            let error = match polled {
                Poll::Ready(Ok(())) => {
                    self.ready = Ready::ToCall;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => Some(error),
                Poll::Pending => None,
            };
            return self
                .not_ready(error, cx)
                .map_err(|error| self.reject.fail(error));
        }
        if refuses_plainly(gate) && !self.readiness.wait_while_open && self.circuit.still_refuses()
        {
            return self.bypass(if is_half_open(gate) {
                Ready::BypassHalfOpen
            } else {
                Ready::BypassOpen
            });
        }
        self.poll_ready_otherwise(cx)
            .map_err(|error| self.reject.fail(error))
    }

    #[allow(clippy::inline_always, reason = "see `poll_ready`")]
    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        // Each way makes its future by itself: where they meet, its parts would have to be moved. For the same reason
        // they part at once, when it is still known what `poll_ready` said.
        let ready = self.ready;
        if ready == Ready::ToCall {
            let cell = self.circuit.cell();
            if let Some(pass) = cell.admit_plainly() {
                let ticket = Ticket::new(Arc::clone(cell), pass);
                return self.call_inner(request, ticket);
            }
        }
        self.ready = Ready::ToCall;
        if matches!(ready, Ready::BypassOpen | Ready::BypassHalfOpen) {
            let cell = self.circuit.cell();
            let half_open = ready == Ready::BypassHalfOpen;
            let pass = cell.pass_by(if half_open {
                RejectReason::CircuitHalfOpen
            } else {
                RejectReason::CircuitOpen
            });
            let ticket = Ticket::new(Arc::clone(cell), pass);
            return ResponseFuture::new(None, ticket, self.observe.clone(), self.reject.clone());
        }
        let cell = self.circuit.cell();
        let Pass { gate, at, course } = match ready {
            Ready::BypassByOrder => cell.pass_by_order(),
            Ready::TimedOut => cell.not_ready(),
            Ready::ToCall | Ready::BypassOpen | Ready::BypassHalfOpen => cell.admit(),
        };
        let pass = Pass { gate, at, course };
        let ticket = Ticket::new(Arc::clone(cell), pass);
        if pass.is_refused() {
            return ResponseFuture::new(None, ticket, self.observe.clone(), self.reject.clone());
        }
        self.call_inner(request, ticket)
    }
}

impl<S, O, R> CircuitBreaker<S, O, R> {
    #[inline]
    fn bypass<E>(&mut self, ready: Ready) -> Poll<Result<(), E>> {
        if self.waiting.is_some() {
            self.waiting = None;
        }
        self.ready = ready;
        Poll::Ready(Ok(()))
    }

    #[inline(never)]
    fn poll_ready_otherwise<Req>(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<Req>,
    {
        self.ready = Ready::ToCall;
        if let Some(reason) = self.circuit.refuses() {
            if self.readiness.wait_while_open {
                return self.wait_for_circuit(cx);
            }
            return self.bypass(match reason {
                RejectReason::CircuitForcedOpen => Ready::BypassByOrder,
                RejectReason::CircuitHalfOpen => Ready::BypassHalfOpen,
                _ => Ready::BypassOpen,
            });
        }
        let unwinding = OnUnwind(|| self.circuit.cell().failed_readiness());
        let polled = self.inner.poll_ready(cx);
        unwinding.disarm();
        match polled {
            Poll::Ready(Ok(())) => {
                self.waiting = None;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => self.not_ready(Some(error), cx),
            Poll::Pending => self.not_ready(None, cx),
        }
    }

    #[cold]
    fn wait_for_circuit<Req>(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<Req>,
    {
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::new(Waiting::new(&self.circuit)));
        ready!(waiting.poll_circuit(&self.circuit, cx));
        self.poll_ready_otherwise(cx)
    }

    /// What to make of the inner service's readiness, if it was not simply ready: it failed, or is pending. Takes no more
    /// than that: what the inner service said would have to lie in memory, also where it is simply ready.
    #[cold]
    fn not_ready<Req>(
        &mut self,
        error: Option<S::Error>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), S::Error>>
    where
        S: Service<Req>,
    {
        self.ready = Ready::ToCall;
        if let Some(error) = error {
            self.waiting = None;
            self.circuit.cell().failed_readiness();
            return Poll::Ready(Err(error));
        }
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::new(Waiting::new(&self.circuit)));
        let timed_out = ready!(waiting.poll_inner(&self.circuit, self.readiness.ready_within, cx));
        if !timed_out {
            // The circuit has begun to refuse: there is nothing to wait for.
            return self.poll_ready_otherwise(cx);
        }
        self.waiting = None;
        self.circuit.cell().failed_readiness();
        self.ready = Ready::TimedOut;
        Poll::Ready(Ok(()))
    }

    #[allow(clippy::inline_always, reason = "see `poll_ready`")]
    #[inline(always)]
    fn call_inner<Req>(
        &mut self,
        request: Req,
        mut ticket: Ticket,
    ) -> ResponseFuture<S::Future, O, R>
    where
        S: Service<Req>,
        O: Clone,
        R: Clone,
    {
        // A panic in `call` fails the call that was admitted.
        let unwinding = OnUnwind(|| ticket.take().failure());
        let future = self.inner.call(request);
        unwinding.disarm();
        ResponseFuture::new(
            Some(future),
            ticket,
            self.observe.clone(),
            self.reject.clone(),
        )
    }
}

impl<S: Clone, O: Clone, R: Clone> Clone for CircuitBreaker<S, O, R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            circuit: self.circuit.clone(),
            observe: self.observe.clone(),
            reject: self.reject.clone(),
            readiness: self.readiness,
            ready: Ready::ToCall,
            waiting: None,
        }
    }
}

impl<S: fmt::Debug, O, R> fmt::Debug for CircuitBreaker<S, O, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("inner", &self.inner)
            .field("circuit", &self.circuit)
            .field("ready", &self.ready)
            .finish_non_exhaustive()
    }
}
