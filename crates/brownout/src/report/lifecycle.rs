use std::{fmt, sync::Arc};

use tokio::sync::watch;

/// Where a process is in its life, as it says itself; clones speak of the same process.
///
/// Nothing outside the process moves it: a dependency is no part of it. Those who answer for the process read it, as
/// [`HealthLayer`](super::HealthLayer) does. A new one is [`Starting`](Phase::Starting).
///
/// ```text
///   Starting ── started() ──► Serving ── pause() ──► Paused
///                                ▲                     │
///                                └────── resume() ─────┘
///   any of them ── stop() ──► Stopping, for good
/// ```
///
/// What is asked for in a phase that has no such way on changes nothing.
///
/// ```
/// use brownout::report::{Lifecycle, Phase};
///
/// let process = Lifecycle::new();
/// assert_eq!(process.phase(), Phase::Starting);
/// process.started();
/// process.stop();
/// process.resume();
/// assert_eq!(process.phase(), Phase::Stopping);
/// ```
#[derive(Clone)]
pub struct Lifecycle(Arc<watch::Sender<Phase>>);

/// A phase of a [`Lifecycle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It is not ready yet: migrations, caches to warm.
    Starting,
    /// It takes requests.
    Serving,
    /// It wants no requests for a while.
    Paused,
    /// It wants no more requests, ever. Those it has are answered.
    Stopping,
}

impl Lifecycle {
    /// A process that is starting.
    pub fn new() -> Self {
        Self::at(Phase::Starting)
    }

    /// A process that has started, which is what a layer takes its own for that was not given any.
    pub fn serving() -> Self {
        Self::at(Phase::Serving)
    }

    /// The process has started: from `Starting` to `Serving`.
    pub fn started(&self) {
        self.go(&[Phase::Starting], Phase::Serving);
    }

    /// The process wants no requests for a while: from `Serving` to `Paused`.
    pub fn pause(&self) {
        self.go(&[Phase::Serving], Phase::Paused);
    }

    /// The process wants requests again: from `Paused` to `Serving`.
    pub fn resume(&self) {
        self.go(&[Phase::Paused], Phase::Serving);
    }

    /// The process is about to end, whatever it was doing. There is no way back.
    ///
    /// Say so a while before the server stops to accept connections: balancers ask only every few seconds.
    pub fn stop(&self) {
        self.go(
            &[Phase::Starting, Phase::Serving, Phase::Paused],
            Phase::Stopping,
        );
    }

    /// Where it is.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until the phase is another than this one, and says which.
    ///
    /// Cancel safe. What came and went in between is not seen.
    pub async fn other_than(&self, seen: Phase) -> Phase {
        let mut changes = self.0.subscribe();
        match changes.wait_for(|phase| *phase != seen).await {
            Ok(phase) => *phase,
            // Cannot be: the sender is ours.
            Err(_) => seen,
        }
    }

    fn at(phase: Phase) -> Self {
        Self(Arc::new(watch::Sender::new(phase)))
    }

    fn go(&self, from: &[Phase], to: Phase) {
        self.0.send_if_modified(|phase| {
            let moves = from.contains(phase);
            if moves {
                *phase = to;
            }
            moves
        });
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lifecycle").field(&self.phase()).finish()
    }
}
