use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use brownout_registry::CircuitState;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    circuit::Circuit,
    waiters::{Place, Waiters},
};

/// What a service keeps while it is not ready: a place among those whom a change of the circuit wakes, and a timer.
/// Off the call path, so it is boxed, and made only when something is pending.
pub(super) struct Waiting {
    waiters: Arc<Waiters>,
    place: Option<Place>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Waiting {
    pub(super) fn new(circuit: &Circuit) -> Self {
        Self {
            waiters: Arc::clone(circuit.waiters()),
            place: None,
            timer: None,
        }
    }

    /// Ready when the circuit may no longer refuse.
    pub(super) fn poll_circuit(&mut self, circuit: &Circuit, cx: &mut Context<'_>) -> Poll<()> {
        self.waiters.join(&mut self.place, cx.waker());
        // Looked at again only now that a change would wake us.
        let Some(left) = circuit.cell().refuses_for() else {
            self.timer = None;
            return Poll::Ready(());
        };
        // At least a millisecond, the timer's grain, so that a deadline that is just not over is not spun on.
        self.poll_timer(left.max(Duration::from_millis(1)), true, cx)
    }

    /// Ready with `true` when the inner service has been pending for too long, and with `false` when the circuit has
    /// begun to refuse, which leaves nothing to wait for.
    pub(super) fn poll_inner(
        &mut self,
        circuit: &Circuit,
        ready_within: Option<Duration>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        self.waiters.join(&mut self.place, cx.waker());
        if circuit.cell().refuses_for().is_some() {
            self.timer = None;
            return Poll::Ready(false);
        }
        // A service that does not become ready for its probe has failed it: else a dead connection would keep a
        // circuit that is due for a probe from ever finding out.
        let probing = circuit.handles.core.engine.resting_state() != CircuitState::Closed;
        let limit = match (ready_within, probing) {
            (Some(limit), _) => Some(limit),
            (None, true) => Some(circuit.policy().lease),
            (None, false) => None,
        };
        match limit {
            Some(limit) => self.poll_timer(limit, false, cx).map(|()| true),
            None => Poll::Pending,
        }
    }

    /// A timer that runs already goes on, unless `moves` says that its end may have moved.
    fn poll_timer(&mut self, left: Duration, moves: bool, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.is_none() || moves {
            let Some(until) = Instant::now().checked_add(left) else {
                // Beyond all time.
                return Poll::Pending;
            };
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(until)));
            if timer.deadline() != until {
                timer.as_mut().reset(until);
            }
        }
        match &mut self.timer {
            Some(timer) => timer.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.waiters.leave(place);
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}
