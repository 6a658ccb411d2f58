//! Following the registry's level, health and revision.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;

use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::caught::caught;
use crate::shared::Shared;
use crate::vocab::{DegradationLevel, SystemHealth};

/// What a [`Watch`] sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct View {
    /// The published level.
    pub level: DegradationLevel,
    /// The system's health.
    pub health: SystemHealth,
    /// Counts every visible change: registrations, statuses, messages, overrides, health, level. Reports that only
    /// renew what was said do not count.
    pub revision: u64,
}

/// Follows a registry, without keeping it alive.
///
/// A watch sleeps until the registry's next deadline by itself, so that it sees every expiry on time, with or without a
/// [`Driver`](crate::Driver). That needs a tokio runtime with time enabled; waiting elsewhere logs an error, and sees an
/// expiry only when something else wakes it.
#[derive(Clone)]
pub struct Watch {
    registry: Weak<Shared>,
    changed: Arc<Notify>,
    seen: View,
}

impl Watch {
    pub(crate) fn new(registry: &Arc<Shared>) -> Self {
        let seen = registry.change(|state, _| state.view());
        Self {
            registry: Arc::downgrade(registry),
            changed: Arc::clone(&registry.changed),
            seen,
        }
    }

    /// What is so now; once the registry is gone, what was so last.
    pub fn current(&self) -> View {
        self.registry.upgrade().map_or(self.seen, |registry| {
            registry.change(|state, _| state.view())
        })
    }

    /// Waits until something differs from what this watch has last seen (at first: when it was made), and says what is
    /// so then; `None` once the registry is gone. Changes in quick succession are seen as one.
    ///
    /// Cancel safe: what was not returned is still unseen.
    pub async fn changed(&mut self) -> Option<View> {
        loop {
            let changed = Arc::clone(&self.changed);
            let mut woken = pin!(changed.notified());
            // Enlisted before looking, so that a change in between is not slept through.
            woken.as_mut().enable();
            let due = {
                let registry = self.registry.upgrade()?;
                let (view, due) = registry.change(|state, _| (state.view(), state.next_deadline()));
                if view != self.seen {
                    self.seen = view;
                    return Some(view);
                }
                due.map(|at| registry.clock.instant(at))
            };
            let mut due = pin!(reached(due));
            std::future::poll_fn(|context| match woken.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => due.as_mut().poll(context),
            })
            .await;
        }
    }
}

/// Sleeps until the given time, or for ever.
pub(crate) async fn reached(time: Option<Instant>) {
    if let Some(time) = time {
        if let Some(sleep) = sleeping(time) {
            return sleep.await;
        }
        tracing::error!(
            "a watch waits where tokio has no timers, so it sees no expiry by itself; enable them with `enable_time` or \
             `enable_all` on the runtime's builder"
        );
    }
    std::future::pending::<()>().await;
}

/// A sleep, where the runtime has timers. tokio has no way to ask for them but to make one, which panics without.
pub(crate) fn sleeping(until: Instant) -> Option<Sleep> {
    caught(|| sleep_until(until))
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
