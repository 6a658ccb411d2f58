//! What the server has pushed and nobody has read yet: bounded, and honest about what it had no room for.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;
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

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Letter(Letter),
    /// Something had no room, since this was last said.
    Missed,
}

#[derive(Debug, Default)]
struct Shared {
    /// Of all that waits.
    bytes: AtomicUsize,
    /// Something had no room.
    missed: AtomicBool,
    /// Told of what is missed: there may be no letter that would wake it.
    reader: AtomicWaker,
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
    /// What is missed, before any letter that waits, or the next letter; none after the end of the connection. Cancel
    /// safe.
    pub(crate) async fn next(&mut self) -> Option<Found> {
        poll_fn(|context| {
            self.shared.reader.register(context.waker());
            if self.shared.missed.swap(false, Ordering::AcqRel) {
                return Poll::Ready(Some(Found::Missed));
            }
            self.receiver.poll_recv(context).map(|letter| {
                let letter = letter?;
                self.shared.bytes.fetch_sub(letter.len(), Ordering::Relaxed);
                Some(Found::Letter(letter))
            })
        })
        .await
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
            self.shared.reader.wake();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use redis::aio::AsyncPushSender;
    use tokio::task::yield_now;
    use tokio::time::{Instant, timeout};

    use super::*;

    fn push(mailbox: &Mailbox, payload: Vec<u8>) {
        let info = PushInfo {
            kind: PushKind::Message,
            data: vec![Value::BulkString(b"c".to_vec()), Value::BulkString(payload)],
        };
        assert!(mailbox.send(info).is_ok());
    }

    /// What is found, or nothing where nothing comes.
    async fn found(letters: &mut Letters) -> Option<Found> {
        let next = timeout(Duration::from_secs(1), letters.next()).await;
        next.ok().flatten()
    }

    fn letter(payload: Vec<u8>) -> Found {
        let channel = b"c".to_vec();
        Found::Letter(Letter { channel, payload })
    }

    #[tokio::test(start_paused = true)]
    async fn letters_come_in_order_and_end_with_the_connection() {
        let (mailbox, mut letters) = mailbox();
        for number in 0..3 {
            push(&mailbox, vec![number]);
        }
        for number in 0..3 {
            assert_eq!(found(&mut letters).await, Some(letter(vec![number])));
        }
        drop(mailbox);
        assert_eq!(letters.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_room_is_missed_once() {
        let (mailbox, mut letters) = mailbox();
        for _ in 0..LETTERS + 2 {
            push(&mailbox, vec![]);
        }
        assert_eq!(found(&mut letters).await, Some(Found::Missed));
        for _ in 0..LETTERS {
            assert_eq!(found(&mut letters).await, Some(letter(vec![])));
        }
        assert_eq!(found(&mut letters).await, None);
        let third = || vec![0; BYTES / 3];
        for _ in 0..4 {
            push(&mailbox, third());
        }
        let told = found(&mut letters).await;
        assert_eq!(told, Some(Found::Missed), "three are more than fit");
        assert_eq!(found(&mut letters).await, Some(letter(third())));
        push(&mailbox, third());
        for _ in 0..2 {
            let told = found(&mut letters).await;
            assert_eq!(told, Some(letter(third())), "there is room again");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_large_for_an_empty_mailbox_wakes_its_reader() {
        let (mailbox, mut letters) = mailbox();
        let reader = tokio::spawn(async move { found(&mut letters).await });
        // It waits by then.
        yield_now().await;
        let begun = Instant::now();
        push(&mailbox, vec![0; BYTES + 1]);
        assert_eq!(reader.await.unwrap(), Some(Found::Missed));
        assert_eq!(begun.elapsed(), Duration::ZERO, "it had to be asked again");
    }
}
