//! What the server has pushed and nobody has read yet: bounded, and honest about what it had no room for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::mpsc::{self, error::SendError};

/// Where a connection puts what the server pushes. The connection's end is the letters' end.
#[derive(Debug)]
pub(crate) struct Mailbox {
    sender: mpsc::Sender<Letter>,
    shared: Arc<Shared>,
}

/// The other side of a [`Mailbox`].
#[derive(Debug)]
pub(crate) struct Letters {
    receiver: mpsc::Receiver<Letter>,
    shared: Arc<Shared>,
}

/// One message on one channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) channel: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Of all that waits.
    bytes: AtomicUsize,
    /// Something had no room.
    missed: AtomicBool,
}

/// So many messages wait for a slow reader.
const LETTERS: usize = 1_024;

/// And so many bytes: more than two of the largest messages that a store writes.
const BYTES: usize = 4 << 20;

/// A mailbox and its reader.
pub(crate) fn mailbox() -> (Mailbox, Letters) {
    let (sender, receiver) = mpsc::channel(LETTERS);
    let shared = Arc::<Shared>::default();
    let mailbox = Mailbox {
        sender,
        shared: Arc::clone(&shared),
    };
    (mailbox, Letters { receiver, shared })
}

impl Letters {
    /// The next message; none after the end of the connection. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Letter> {
        let letter = self.receiver.recv().await?;
        self.shared.bytes.fetch_sub(letter.len(), Ordering::Relaxed);
        Some(letter)
    }

    /// Whether something had no room since this was last asked.
    pub(crate) fn missed(&self) -> bool {
        self.shared.missed.swap(false, Ordering::AcqRel)
    }
}

impl Letter {
    fn of(info: PushInfo) -> Option<Self> {
        let [Value::BulkString(channel), Value::BulkString(payload)] =
            <[Value; 2]>::try_from(info.data).ok()?
        else {
            return None;
        };
        (info.kind == PushKind::Message).then_some(Self { channel, payload })
    }

    fn len(&self) -> usize {
        self.channel.len() + self.payload.len()
    }
}

impl redis::aio::AsyncPushSender for Mailbox {
    /// Never blocks: it runs in the task that drives the connection.
    fn send(&self, info: PushInfo) -> Result<(), redis::aio::SendError> {
        let Some(letter) = Letter::of(info) else {
            return Ok(());
        };
        let len = letter.len();
        let waiting = self.shared.bytes.fetch_add(len, Ordering::Relaxed);
        let sent = if waiting.saturating_add(len) > BYTES {
            Err(SendError(letter))
        } else {
            self.sender
                .try_send(letter)
                .map_err(|error| SendError(error.into_inner()))
        };
        if sent.is_err() {
            self.shared.bytes.fetch_sub(len, Ordering::Relaxed);
            self.shared.missed.store(true, Ordering::Release);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::aio::AsyncPushSender;

    fn message(payload: Vec<u8>) -> PushInfo {
        PushInfo {
            kind: PushKind::Message,
            data: vec![Value::BulkString(b"c".to_vec()), Value::BulkString(payload)],
        }
    }

    #[tokio::test]
    async fn letters_come_in_order_and_end_with_the_connection() {
        let (mailbox, mut letters) = mailbox();
        for number in 0..3 {
            assert!(mailbox.send(message(vec![number])).is_ok());
        }
        drop(mailbox);
        for number in 0..3 {
            assert_eq!(letters.next().await.unwrap().payload, [number]);
        }
        assert_eq!(letters.next().await, None);
        assert!(!letters.missed());
    }

    #[tokio::test]
    async fn what_has_no_room_is_missed_once() {
        let (mailbox, mut letters) = mailbox();
        for _ in 0..=LETTERS {
            assert!(mailbox.send(message(vec![])).is_ok());
        }
        assert!(letters.missed());
        assert!(!letters.missed());
        for _ in 0..LETTERS {
            letters.next().await.unwrap();
        }
        for _ in 0..4 {
            assert!(mailbox.send(message(vec![0; BYTES / 3])).is_ok());
        }
        assert!(letters.missed(), "three of these are more than fit");
        letters.next().await.unwrap();
        assert!(mailbox.send(message(vec![0; BYTES / 3])).is_ok());
        assert!(!letters.missed(), "there is room again");
    }
}
