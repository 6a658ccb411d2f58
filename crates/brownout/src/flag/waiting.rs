use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::{Notify, futures::OwnedNotified};

/// What a service keeps while its inner one is not ready: its place among those whom a change of the flag wakes. Off
/// the call path, so it is boxed, and made only when something is pending.
pub(super) struct Waiting(Pin<Box<OwnedNotified>>);

impl Waiting {
    /// From now on, no change is missed.
    pub(super) fn new(changed: &Arc<Notify>) -> Self {
        Self(Box::pin(Arc::clone(changed).notified_owned()))
    }

    /// Ready, once, when the flag has changed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}
