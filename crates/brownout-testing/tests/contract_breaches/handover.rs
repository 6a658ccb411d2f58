//! Wake-ups that are lost with whoever got them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use brownout_testing::contract::Law;

use super::{assert_breaks, check, ready};

/// Lets so many calls through at a time, the others wait in a queue.
#[derive(Default)]
struct Gate {
    taken: usize,
    next: u64,
    queue: VecDeque<(u64, Waker)>,
}

impl Gate {
    fn wake_first(&mut self) {
        if let Some((_, waker)) = self.queue.pop_front() {
            waker.wake();
        }
    }
}

/// A call's place in the queue; `passes_on` is what makes it honest.
struct Queued {
    gate: Arc<Mutex<Gate>>,
    id: u64,
    passes_on: bool,
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut gate = self.gate.lock().unwrap();
        let waits = gate.queue.iter().any(|(id, _)| *id == self.id);
        gate.queue.retain(|(id, _)| *id != self.id);
        // Not in the queue any more: it has been woken.
        if self.passes_on && !waits {
            gate.wake_first();
        }
    }
}

struct Place(Arc<Mutex<Gate>>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut gate = self.0.lock().unwrap();
        gate.taken -= 1;
        gate.wake_first();
    }
}

async fn place(gate: Arc<Mutex<Gate>>, places: usize, passes_on: bool) -> Place {
    let id = {
        let mut gate = gate.lock().unwrap();
        gate.next += 1;
        gate.next
    };
    let queued = Queued {
        gate,
        id,
        passes_on,
    };
    poll_fn(|cx| {
        let mut gate = queued.gate.lock().unwrap();
        gate.queue.retain(|(other, _)| *other != id);
        if gate.taken < places {
            gate.taken += 1;
            return Poll::Ready(());
        }
        gate.queue.push_back((id, cx.waker().clone()));
        Poll::Pending
    })
    .await;
    Place(Arc::clone(&queued.gate))
}

/// Checks a limit of so many places.
async fn check_limit(
    places: usize,
    passes_on: bool,
) -> Result<(), brownout_testing::contract::Breach> {
    check(
        Arc::<Mutex<Gate>>::default,
        ready,
        move |inner, gate, request| {
            let clone = inner.clone();
            let mut inner = std::mem::replace(inner, clone);
            let gate = Arc::clone(gate);
            Box::pin(async move {
                let _place = place(gate, places, passes_on).await;
                tower::Service::call(&mut inner, request).await
            })
        },
    )
    .await
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_lost_with_a_dropped_waiter_is_caught() {
    for (places, left) in [(1, 6), (3, 4)] {
        let outcome = check_limit(places, false).await;
        assert_breaks(
            outcome,
            Law::PassesOnWakeUps,
            &format!("none of the {left} left was woken"),
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_passes_on_its_wake_up_keeps_every_law() {
    for places in [1, 3] {
        check_limit(places, true).await.unwrap();
    }
}
