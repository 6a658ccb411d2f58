//! The service itself: strict about readiness, obedient to its handle.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use super::behaviour::{Behaviour, End, Readiness};
use super::future::ProbeFuture;
use super::handle::ProbeHandle;
use super::state::Shared;
use super::violation::{Standing, Violation};

/// A service that checks tower's contract and does what its [`ProbeHandle`] says.
///
/// All clones share one handle, one script and one set of counts; each has a readiness of its own. An instance that is
/// ready and polled again is asked anew, so that readiness which was made pending or failing in between is seen.
///
/// # Panics
///
/// `call` panics when this instance was not polled ready since its last call, and where the behaviour says so. A future
/// panics when it is polled after it ended. Panics of the first kind are also kept in [`ProbeHandle::violations`].
pub struct ProbeService<Req, Res, E> {
    shared: Arc<Shared<Req, Res, E>>,
    id: u64,
    standing: Standing,
}

impl<Req, Res, E> ProbeService<Req, Res, E> {
    /// Makes a service that is ready and answers every call with this closure, and the handle that steers it.
    pub fn new(
        answer: impl Fn(Req) -> Result<Res, E> + Send + Sync + 'static,
    ) -> (Self, ProbeHandle<Req, Res, E>) {
        Self::with(Behaviour::answer(answer))
    }

    /// Makes a service that is ready and treats every call this way, and the handle that steers it.
    pub fn with(behaviour: Behaviour<Req, Res, E>) -> (Self, ProbeHandle<Req, Res, E>) {
        let shared = Arc::new(Shared::new(behaviour));
        let handle = ProbeHandle::new(Arc::clone(&shared));
        (
            Self {
                shared,
                id: 0,
                standing: Standing::New,
            },
            handle,
        )
    }

    /// Another handle to this service.
    pub fn handle(&self) -> ProbeHandle<Req, Res, E> {
        ProbeHandle::new(Arc::clone(&self.shared))
    }

    fn restand(&mut self, to: Standing) {
        let from = std::mem::replace(&mut self.standing, to);
        self.shared.change(|state| state.restand(from, to));
    }
}

impl<Req, Res, E> Service<Req> for ProbeService<Req, Res, E> {
    type Response = Res;
    type Error = E;
    type Future = ProbeFuture<Req, Res, E>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        // Wakers and errors are cloned, dropped and made outside the lock: all three are somebody else's code.
        let mut waker = Some(cx.waker().clone());
        let (readiness, _replaced) = self.shared.change(|state| {
            state.counts.ready_polls += 1;
            let replaced = state.waiting.remove(&self.id);
            if matches!(state.readiness, Readiness::Pending) {
                state
                    .waiting
                    .extend(waker.take().map(|waker| (self.id, waker)));
            }
            (state.readiness.clone(), replaced)
        });
        match readiness {
            Readiness::Ready => {
                self.restand(Standing::Ready);
                Poll::Ready(Ok(()))
            }
            Readiness::Pending => {
                self.restand(Standing::Pending);
                Poll::Pending
            }
            Readiness::Fail(error) => {
                self.restand(Standing::Failed);
                Poll::Ready(Err(error()))
            }
        }
    }

    fn call(&mut self, request: Req) -> Self::Future {
        if self.standing != Standing::Ready {
            self.shared.violated(Violation::CalledUnready {
                instance: self.id,
                standing: self.standing,
            });
        }
        self.restand(Standing::Called);
        let (call, behaviour) = self
            .shared
            .change(|state| (state.new_call(), state.next_behaviour()));
        let mut future = ProbeFuture::new(Arc::clone(&self.shared), call, request, &behaviour);
        if let End::PanicInCall(message) = &behaviour.end {
            future.panic(message);
        }
        future
    }
}

impl<Req, Res, E> Clone for ProbeService<Req, Res, E> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            id: self.shared.change(super::state::State::new_instance),
            standing: Standing::Cloned,
        }
    }
}

impl<Req, Res, E> Drop for ProbeService<Req, Res, E> {
    fn drop(&mut self) {
        let _waker = self.shared.change(|state| {
            state.restand(self.standing, Standing::Called);
            state.counts.instances -= 1;
            state.counts.instances_dropped += 1;
            state.waiting.remove(&self.id)
        });
    }
}

impl<Req, Res, E> fmt::Debug for ProbeService<Req, Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeService")
            .field("instance", &self.id)
            .field("standing", &self.standing)
            .field("probe", &self.shared)
            .finish()
    }
}
