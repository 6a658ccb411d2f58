use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
};

use brownout_registry::FeatureState;
use tower_service::Service;

use crate::core::{
    DegradeReason, MarkDegraded, Observe, Oneshot, Reject, Settle, oneshot, unwind::OnUnwind,
};

use super::{
    cell::Leave,
    fall::Degrade,
    future::{Instead, ResponseFuture, Run},
    handle::Flag,
    standby::{Nobody, Standby},
    ticket::Ticket,
    waiting::Waiting,
};

/// A service that is the full form of a feature, behind its flag. Made by [`FlagLayer`](super::FlagLayer).
///
/// While the flag is degraded or disabled it is ready at once, without polling its inner service; that call goes to
/// whoever stands in, or is refused. A clone shares the flag and copies no readiness.
pub struct Flagged<S, O, R, M, D = Nobody, X = Nobody> {
    inner: S,
    flag: Flag,
    parts: Parts<O, R, M, D, X>,
    ready: Ready,
    /// Why it is not ready. Apart, so that whether it is remains one byte.
    reason: DegradeReason,
    waiting: Option<Waiting>,
}

/// What a layer hands to its services, besides the flag.
#[derive(Clone)]
pub(super) struct Parts<O, R, M, D, X> {
    pub(super) observe: O,
    pub(super) reject: R,
    pub(super) mark: M,
    pub(super) degraded: D,
    pub(super) disabled: X,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    /// The flag decides once the call is made: the inner service is ready, or was never asked.
    ToCall,
    /// The call will not reach the inner service, whatever changes meanwhile: it was not made ready, for this state.
    Bypass(FeatureState),
    /// The inner service failed to become ready; the call goes on to the degraded service.
    Failed,
}

impl<S, O, R, M, D, X> Flagged<S, O, R, M, D, X> {
    pub(super) fn new(inner: S, flag: Flag, parts: Parts<O, R, M, D, X>) -> Self {
        Self {
            inner,
            flag,
            parts,
            ready: Ready::ToCall,
            reason: DegradeReason::Failed,
            waiting: None,
        }
    }

    /// The flag.
    pub fn flag(&self) -> &Flag {
        &self.flag
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the flag off.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Waits until it is ready, calls it once, and waits for the answer: tower's `oneshot`, of which handlers and
    /// spawned tasks may await this one also where types below spell a [`BoxError`](crate::core::BoxError)
    /// ([why](fn@crate::core::oneshot)).
    #[inline]
    pub fn oneshot<Req>(self, request: Req) -> Oneshot<Self, Req, <Self as Service<Req>>::Future>
    where
        Self: Service<Req>,
    {
        oneshot(self, request)
    }
}

type FutureOf<S, Req, O, R, M, D, X> = ResponseFuture<
    <S as Service<Req>>::Future,
    <D as Standby<Req, <S as Service<Req>>::Response, <S as Service<Req>>::Error>>::Future,
    <X as Standby<Req, <S as Service<Req>>::Response, <S as Service<Req>>::Error>>::Future,
    O,
    R,
    M,
    <D as Degrade<Req, <S as Service<Req>>::Response, <S as Service<Req>>::Error>>::Falling<
        <O as Observe<Ticket, <S as Service<Req>>::Response, <S as Service<Req>>::Error>>::Response,
    >,
>;

impl<S, Req, O, R, M, D, X> Service<Req> for Flagged<S, O, R, M, D, X>
where
    S: Service<Req>,
    O: Observe<Ticket, S::Response, S::Error> + Clone,
    R: Reject<O::Response, S::Error> + Clone,
    M: MarkDegraded<S::Response> + Clone,
    D: Degrade<Req, S::Response, S::Error>,
    X: Standby<Req, S::Response, S::Error>,
{
    type Response = R::Response;
    type Error = R::Error;
    type Future = FutureOf<S, Req, O, R, M, D, X>;

    // The functions of a call are small, and each hands its values straight to the next: inlined, they stay in
    // registers (`cargo xtask bench --rows flag-enabled`).
    #[allow(clippy::inline_always, reason = "measured, see above")]
    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let failed = D::FALLS && self.ready == Ready::Failed;
        if self.flag.is_plainly_enabled() && self.waiting.is_none() && !failed {
            let unwinding = OnUnwind(|| self.flag.cell().failed_readiness());
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
                .map_err(|error| self.parts.reject.fail(error));
        }
        self.poll_ready_otherwise(cx)
            .map_err(|error| self.parts.reject.fail(error))
    }

    #[allow(clippy::inline_always, reason = "see `poll_ready`")]
    #[inline(always)]
    fn call(&mut self, request: Req) -> Self::Future {
        if self.ready == Ready::ToCall {
            let cell = self.flag.cell();
            if let Some(word) = cell.admit_plainly() {
                let ticket = Ticket::new(Arc::clone(cell), word);
                return self.call_inner(request, ticket);
            }
        }
        self.call_closely(request)
    }
}

impl<S, O, R, M, D, X> Flagged<S, O, R, M, D, X> {
    #[inline(never)]
    fn poll_ready_otherwise<Req>(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<Req>,
        D: Degrade<Req, S::Response, S::Error>,
    {
        let state = self.flag.state();
        if state != FeatureState::Enabled {
            self.waiting = None;
            self.ready = Ready::Bypass(state);
            return Poll::Ready(Ok(()));
        }
        if self.ready == Ready::Failed {
            return Poll::Ready(Ok(()));
        }
        self.ready = Ready::ToCall;
        let unwinding = OnUnwind(|| self.flag.cell().failed_readiness());
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
        D: Degrade<Req, S::Response, S::Error>,
    {
        self.ready = Ready::ToCall;
        if let Some(error) = error {
            self.waiting = None;
            self.flag.cell().failed_readiness();
            let Some(reason) = self.parts.degraded.not_ready(&error) else {
                return Poll::Ready(Err(error));
            };
            self.ready = Ready::Failed;
            self.reason = reason;
            return Poll::Ready(Ok(()));
        }
        loop {
            let waiting = self
                .waiting
                .get_or_insert_with(|| Waiting::new(self.flag.changed()));
            let changed = waiting.poll(cx);
            // Looked at only now that a change would wake us.
            let state = self.flag.state();
            if state != FeatureState::Enabled {
                // The inner service is no longer needed.
                self.waiting = None;
                self.ready = Ready::Bypass(state);
                return Poll::Ready(Ok(()));
            }
            ready!(changed);
            self.waiting = None;
        }
    }

    /// The flag looks closer at the call. Apart, because whatever makes a future on the shortest way too has it moved.
    #[inline(never)]
    fn call_closely<Req>(&mut self, request: Req) -> FutureOf<S, Req, O, R, M, D, X>
    where
        S: Service<Req>,
        O: Observe<Ticket, S::Response, S::Error> + Clone,
        R: Clone,
        M: Clone,
        D: Degrade<Req, S::Response, S::Error>,
        X: Standby<Req, S::Response, S::Error>,
    {
        let (promised, not_ready) = match std::mem::replace(&mut self.ready, Ready::ToCall) {
            Ready::ToCall => (None, None),
            Ready::Bypass(state) => (Some(state), None),
            Ready::Failed => (None, Some(self.reason)),
        };
        let cell = self.flag.cell();
        match (cell.admit(promised), not_ready) {
            (Leave::Enter(_), Some(reason)) => self.fall(request, reason),
            (Leave::Enter(word), None) => {
                let ticket = Ticket::new(Arc::clone(cell), word);
                self.call_inner(request, ticket)
            }
            (Leave::Divert(state, until), _) => self.divert(request, state, until),
        }
    }

    #[allow(clippy::inline_always, reason = "see `poll_ready`")]
    #[inline(always)]
    fn call_inner<Req>(
        &mut self,
        request: Req,
        mut ticket: Ticket,
    ) -> FutureOf<S, Req, O, R, M, D, X>
    where
        S: Service<Req>,
        O: Observe<Ticket, S::Response, S::Error> + Clone,
        R: Clone,
        M: Clone,
        D: Degrade<Req, S::Response, S::Error>,
        X: Standby<Req, S::Response, S::Error>,
    {
        let fall = self.parts.degraded.keep(&request);
        // A panic in `call` fails the call that was let in.
        let unwinding = OnUnwind(|| ticket.take().failure());
        let future = self.inner.call(request);
        unwinding.disarm();
        self.parts.future(Run::Full(future, ticket), fall)
    }

    /// The call goes on to the degraded service without having been made. How that fares proves no more and no less
    /// than it says, for nobody else can have done anything.
    #[cold]
    fn fall<Req>(&mut self, request: Req, reason: DegradeReason) -> FutureOf<S, Req, O, R, M, D, X>
    where
        S: Service<Req>,
        O: Observe<Ticket, S::Response, S::Error> + Clone,
        R: Clone,
        M: Clone,
        D: Degrade<Req, S::Response, S::Error>,
        X: Standby<Req, S::Response, S::Error>,
    {
        let cell = self.flag.cell();
        let run = match self.parts.degraded.answer(request) {
            Some(future) => Instead::Degraded(future, Arc::clone(cell), reason),
            None => Instead::Refused(Some(cell.rejected(FeatureState::Degraded, None))),
        };
        self.parts
            .future(Run::Instead(run), self.parts.degraded.keep_nothing())
    }

    #[inline(never)]
    fn divert<Req>(
        &mut self,
        request: Req,
        state: FeatureState,
        until: Option<u64>,
    ) -> FutureOf<S, Req, O, R, M, D, X>
    where
        S: Service<Req>,
        O: Observe<Ticket, S::Response, S::Error> + Clone,
        R: Clone,
        M: Clone,
        D: Degrade<Req, S::Response, S::Error>,
        X: Standby<Req, S::Response, S::Error>,
    {
        let cell = self.flag.cell();
        let answering = if state == FeatureState::Disabled {
            let future = self.parts.disabled.answer(request);
            future.map(|future| Instead::Disabled(future, Arc::clone(cell)))
        } else {
            let future = self.parts.degraded.answer(request);
            let reason = DegradeReason::FlagDegraded;
            future.map(|future| Instead::Degraded(future, Arc::clone(cell), reason))
        };
        let refused = || Instead::Refused(Some(cell.rejected(state, until)));
        let run = answering.unwrap_or_else(refused);
        self.parts
            .future(Run::Instead(run), self.parts.degraded.keep_nothing())
    }
}

impl<O: Clone, R: Clone, M: Clone, D, X> Parts<O, R, M, D, X> {
    #[allow(clippy::inline_always, reason = "see `Flagged::poll_ready`")]
    #[inline(always)]
    fn future<F, G, H, K>(
        &self,
        run: Run<F, G, H>,
        fall: K,
    ) -> ResponseFuture<F, G, H, O, R, M, K> {
        ResponseFuture::new(
            run,
            fall,
            self.observe.clone(),
            self.reject.clone(),
            self.mark.clone(),
        )
    }
}

impl<S: Clone, O, R, M, D, X> Clone for Flagged<S, O, R, M, D, X>
where
    Parts<O, R, M, D, X>: Clone,
{
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.flag.clone(), self.parts.clone())
    }
}

impl<S: fmt::Debug, O, R, M, D, X> fmt::Debug for Flagged<S, O, R, M, D, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flagged")
            .field("inner", &self.inner)
            .field("flag", &self.flag)
            .field("ready", &self.ready)
            .finish_non_exhaustive()
    }
}
