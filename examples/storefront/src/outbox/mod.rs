//! Payments that could not be made yet, and what became of those that were taken.
//!
//! Everything is in memory and bounded: what was accepted survives an outage of the payment service, but not one of the
//! shop. The callers are told so.

mod book;
mod replay;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use self::book::Book;
pub(crate) use self::{
    book::{Full, KeyReused, State},
    replay::{Replay, ReplayTimes},
};
use crate::payment::{Key, Payment};

/// The book of payments. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    book: Mutex<Book>,
    queued: Notify,
    settled: Notify,
}

impl Outbox {
    /// Takes a payment down before anything is done about it, so that nobody else uses its key for another one. Says what
    /// is known of it so far.
    pub(crate) fn begin(&self, payment: &Payment) -> Result<State, KeyReused> {
        self.book().begin(payment)
    }

    /// Keeps a payment that was certainly not made until it can be.
    pub(crate) fn queue(&self, payment: &Payment) -> Result<(), Full> {
        self.book().queue(payment)?;
        self.0.queued.notify_one();
        Ok(())
    }

    /// Takes down what has clearly become of a payment.
    pub(crate) fn settle(&self, key: &Key, state: State) {
        self.book().settle(key, state);
        self.0.settled.notify_waiters();
    }

    /// Takes down that a payment was certainly not sent after all, and does not wait.
    pub(crate) fn unsent(&self, key: &Key) {
        self.book().unsent(key);
    }

    /// Takes down that the payment service knows another payment by that key.
    pub(crate) fn disown(&self, key: &Key) {
        self.book().disown(key);
        self.0.settled.notify_waiters();
    }

    /// What is known of a payment; nothing of one that never came, or came long ago.
    pub(crate) fn state(&self, key: &Key) -> Option<State> {
        self.book().state(key)
    }

    /// How many payments wait.
    pub(crate) fn waiting(&self) -> usize {
        self.book().waiting()
    }

    /// Waits until no payment does.
    pub(crate) async fn emptied(&self) {
        loop {
            let settled = self.0.settled.notified();
            if self.waiting() == 0 {
                return;
            }
            settled.await;
        }
    }

    /// The payment whose turn it is, as soon as one waits. It waits on until it is settled.
    async fn next(&self) -> Payment {
        loop {
            let queued = self.0.queued.notified();
            if let Some(payment) = self.book().next() {
                return payment;
            }
            queued.await;
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
