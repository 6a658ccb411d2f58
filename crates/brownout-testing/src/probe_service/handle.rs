//! The handle that steers and observes a probe, from anywhere and at any time.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use super::behaviour::{Behaviour, Readiness};
use super::counts::Counts;
use super::state::{Held, Shared};
use super::violation::Violation;

/// Steers and observes a [`ProbeService`](super::ProbeService) and all its clones.
///
/// A handle is cheap to clone and outlives the service. What it is told counts at once, also for calls from other
/// threads; a call that has started keeps its behaviour.
pub struct ProbeHandle<Req, Res, E> {
    shared: Arc<Shared<Req, Res, E>>,
}

impl<Req, Res, E> ProbeHandle<Req, Res, E> {
    pub(super) fn new(shared: Arc<Shared<Req, Res, E>>) -> Self {
        Self { shared }
    }

    /// Says what `poll_ready` returns from now on, and wakes every task that waits on an instance.
    pub fn set_readiness(&self, readiness: Readiness<E>) {
        let (_before, waiting) = self.shared.change(|state| {
            let before = std::mem::replace(&mut state.readiness, readiness);
            (before, std::mem::take(&mut state.waiting))
        });
        waiting.into_values().for_each(Waker::wake);
    }

    /// Makes every instance ready, and wakes every task that waits for it.
    pub fn make_ready(&self) {
        self.set_readiness(Readiness::Ready);
    }

    /// Makes `poll_ready` return `Pending`. An instance that was polled ready before may still be called.
    pub fn make_pending(&self) {
        self.set_readiness(Readiness::Pending);
    }

    /// Makes `poll_ready` fail with this error, and wakes every task that waits.
    pub fn fail_readiness(&self, error: impl Fn() -> E + Send + Sync + 'static) {
        self.set_readiness(Readiness::fail(error));
    }

    /// Adds a behaviour to the script: it is used by one call, after those that were added before.
    pub fn next(&self, behaviour: Behaviour<Req, Res, E>) {
        self.script([behaviour]);
    }

    /// Adds behaviours to the script, each used by one call, in this order.
    pub fn script(&self, behaviours: impl IntoIterator<Item = Behaviour<Req, Res, E>>) {
        // Collected first: the iterator is the caller's code and may ask this very probe.
        let behaviours = Vec::from_iter(behaviours);
        self.shared.change(|state| state.script.extend(behaviours));
    }

    /// Says what a call does when the script is at its end.
    pub fn always(&self, behaviour: Behaviour<Req, Res, E>) {
        let _before = self
            .shared
            .change(|state| std::mem::replace(&mut state.default, behaviour));
    }

    /// How many behaviours of the script are still unused.
    pub fn scripted(&self) -> usize {
        self.shared.read().script.len()
    }

    /// Lets up to `calls` held calls answer, the oldest first, and returns how many there were.
    ///
    /// A held call ([`Behaviour::hold`]) waits from the first poll of its future; one that is not polled yet isn't found.
    pub fn release(&self, calls: usize) -> usize {
        let wakers = self.shared.change(|state| {
            let waiting = state.held.values_mut().filter_map(|held| {
                match std::mem::replace(held, Held::Released) {
                    Held::Waiting(waker) => Some(waker),
                    Held::Released => None,
                }
            });
            waiting.take(calls).collect::<Vec<_>>()
        });
        let released = wakers.len();
        wakers.into_iter().for_each(Waker::wake);
        released
    }

    /// Lets all held calls answer, and returns how many there were.
    pub fn release_all(&self) -> usize {
        self.release(usize::MAX)
    }

    /// Everything the probe has counted so far.
    pub fn counts(&self) -> Counts {
        self.shared.read().counts
    }

    /// How often the future of this call was polled; calls are numbered from 0.
    ///
    /// `None` for a call that was not made, and for all but the last 1024.
    pub fn polls_of(&self, call: u64) -> Option<usize> {
        self.shared.read().polls_of(call)
    }

    /// The breaches of the contract seen so far: the first 1024, oldest first.
    ///
    /// Each was a panic too, but a panic in a task that nobody joins is seen by nobody.
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.read().violations.clone()
    }

    /// Panics unless the contract has been kept so far, naming the first breach.
    ///
    /// # Panics
    ///
    /// When there is a violation.
    #[track_caller]
    pub fn assert_contract_kept(&self) {
        if let Some(violation) = self.violations().first() {
            panic!("{violation}");
        }
    }

    /// Waits until the counts are as the closure wants them, and returns them.
    ///
    /// It never completes when they never are; dropping it leaves nothing behind.
    ///
    /// # Examples
    ///
    /// ```
    /// use brownout_testing::{Behaviour, ProbeService, TestError};
    /// use tower::ServiceExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (service, probe) = ProbeService::with(Behaviour::hold(|n: u32| Ok::<_, TestError>(n)));
    /// let call = tokio::spawn(service.oneshot(7));
    ///
    /// probe.wait_for(|counts| counts.future_polls == 1).await;
    /// assert_eq!(probe.release_all(), 1);
    /// assert_eq!(call.await.unwrap(), Ok(7));
    /// # }
    /// ```
    pub async fn wait_for(&self, mut wanted: impl FnMut(&Counts) -> bool) -> Counts {
        loop {
            let changed = self.shared.changed().notified();
            let counts = self.counts();
            if wanted(&counts) {
                return counts;
            }
            changed.await;
        }
    }
}

impl<Req, Res, E> Clone for ProbeHandle<Req, Res, E> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl<Req, Res, E> fmt::Debug for ProbeHandle<Req, Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProbeHandle").field(&self.shared).finish()
    }
}
