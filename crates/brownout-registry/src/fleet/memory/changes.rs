//! What subscribers of a store in memory are told.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use super::Server;
use crate::fleet::error::StoreError;
use crate::fleet::pushed::Message;
use crate::fleet::store::Changes;
use crate::fleet::values::ReplicaId;

/// So many messages wait for slow subscribers.
const KEPT: usize = 1024;

/// The last messages.
#[derive(Default)]
pub(super) struct Ring {
    kept: VecDeque<(Option<ReplicaId>, Message)>,
    /// How many were pushed before those that are kept.
    gone: u64,
}

/// A subscription to a [`MemoryStore`](super::MemoryStore).
pub struct MemoryChanges {
    server: Arc<Server>,
    replica: ReplicaId,
    next: u64,
}

impl Ring {
    /// Keeps a message for all subscribers, or for those of one replica.
    pub(super) fn push(&mut self, whose: Option<ReplicaId>, message: Message) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
            self.gone += 1;
        }
        self.kept.push_back((whose, message));
    }

    fn end(&self) -> u64 {
        self.gone + self.kept.len() as u64
    }
}

impl MemoryChanges {
    pub(super) fn new(server: &Arc<Server>, replica: ReplicaId) -> Self {
        Self {
            next: server.lock().ring.end(),
            server: Arc::clone(server),
            replica,
        }
    }

    fn read(&mut self) -> Option<Message> {
        let held = self.server.lock();
        let ring = &held.ring;
        if self.next < ring.gone {
            self.next = ring.gone;
            return Some(Message::Missed(None));
        }
        while self.next < ring.end() {
            let index = usize::try_from(self.next - ring.gone).unwrap_or(usize::MAX);
            self.next += 1;
            if let Some((whose, message)) = ring.kept.get(index)
                && whose.as_ref().is_none_or(|whose| *whose == self.replica)
            {
                return Some(message.clone());
            }
        }
        None
    }
}

impl Changes for MemoryChanges {
    async fn next(&mut self) -> Result<Message, StoreError> {
        loop {
            let told = Arc::clone(&self.server.told);
            let mut told = pin!(told.notified());
            // Enlisted before looking, so that what is told in between is not slept through.
            told.as_mut().enable();
            if let Some(message) = self.read() {
                return Ok(message);
            }
            told.await;
        }
    }
}

impl fmt::Debug for MemoryChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryChanges")
            .field("replica", &self.replica)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
