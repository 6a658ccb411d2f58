//! The book itself: no clock, no tasks, no calls.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
};

use crate::payment::{Key, Order, Payment};

/// Payments that may wait.
const MAX_WAITING: usize = 1_000;
/// Payments that are remembered. The oldest that do not wait are forgotten first.
const MAX_REMEMBERED: usize = 10_000;

/// What is known of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No clear answer has come, or not yet.
    Unknown,
    /// It waits to be sent.
    Pending,
    /// It was made.
    Charged,
    /// The payment service refused it. One that had made it would have said that instead.
    Failed,
}

/// The key was used for another payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyReused;

/// As many payments wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// All payments that are remembered.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: HashMap<Key, Entry>,
    /// From the oldest to the newest.
    age: VecDeque<Key>,
    /// Those that wait, in turn.
    queue: VecDeque<Key>,
}

#[derive(Debug)]
struct Entry {
    order: Order,
    state: State,
    /// How often it was begun and may have been sent, or may be yet.
    attempts: u64,
}

impl Book {
    /// What is known of the payment so far.
    pub(super) fn begin(&mut self, payment: &Payment) -> Result<State, KeyReused> {
        match self.entries.get_mut(&payment.key) {
            Some(entry) if entry.order != payment.order => Err(KeyReused),
            Some(entry) => {
                entry.attempts += 1;
                Ok(entry.state)
            }
            None => {
                self.enter(payment);
                Ok(State::Unknown)
            }
        }
    }

    /// Takes back a beginning from which nothing came. Where there was no other, there is nothing to know.
    pub(super) fn unsent(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.attempts = entry.attempts.saturating_sub(1);
            if entry.attempts == 0 && entry.state == State::Unknown {
                self.forget(key);
            }
        }
    }

    pub(super) fn queue(&mut self, payment: &Payment) -> Result<(), Full> {
        match self.state(&payment.key) {
            // It waits already, or its twin got through meanwhile.
            Some(State::Pending | State::Charged) => return Ok(()),
            Some(State::Unknown | State::Failed) => {}
            None => self.enter(payment),
        }
        if self.queue.len() >= MAX_WAITING {
            return Err(Full);
        }
        self.queue.push_back(payment.key.clone());
        self.set(&payment.key, State::Pending);
        Ok(())
    }

    /// Takes down a clear answer. A payment that was made stays made, whatever is heard of it later.
    pub(super) fn settle(&mut self, key: &Key, state: State) {
        if self.state(key) != Some(State::Charged) {
            self.queue.retain(|waiting| waiting != key);
            self.set(key, state);
        }
    }

    /// Gives the key back to the payment that has it, which this book has forgotten. Of a payment that was accepted it stays
    /// known that it failed.
    pub(super) fn disown(&mut self, key: &Key) {
        if self.state(key) == Some(State::Unknown) {
            self.forget(key);
        } else {
            self.settle(key, State::Failed);
        }
    }

    pub(super) fn state(&self, key: &Key) -> Option<State> {
        self.entries.get(key).map(|entry| entry.state)
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Those that wait take turns, so that one with which something is wrong holds up no other.
    pub(super) fn next(&mut self) -> Option<Payment> {
        let key = self.queue.pop_front()?;
        self.queue.push_back(key.clone());
        let order = self.entries.get(&key)?.order.clone();
        Some(Payment { key, order })
    }

    fn enter(&mut self, payment: &Payment) {
        while self.entries.len() >= MAX_REMEMBERED {
            self.forget_oldest();
        }
        self.age.push_back(payment.key.clone());
        let entry = Entry {
            order: payment.order.clone(),
            state: State::Unknown,
            attempts: 1,
        };
        self.entries.insert(payment.key.clone(), entry);
    }

    /// Who is forgotten on purpose came lately.
    fn forget(&mut self, key: &Key) {
        self.entries.remove(key);
        if let Some(place) = self.age.iter().rposition(|remembered| remembered == key) {
            self.age.remove(place);
        }
    }

    /// There is always one to forget: more are remembered than may wait.
    fn forget_oldest(&mut self) {
        while let Some(key) = self.age.pop_front() {
            if self.state(&key) == Some(State::Pending) {
                self.age.push_back(key);
            } else {
                self.entries.remove(&key);
                return;
            }
        }
    }

    fn set(&mut self, key: &Key, state: State) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.state = state;
        }
    }
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::Charged => "charged",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer::UserId;

    fn payment(key: &str) -> Payment {
        Payment {
            key: key.parse().unwrap(),
            order: Order {
                user: UserId(1),
                amount_cents: 100,
            },
        }
    }

    /// Taken down, and queued.
    fn queued(book: &mut Book, key: &str) -> Payment {
        let payment = payment(key);
        book.begin(&payment).unwrap();
        book.queue(&payment).unwrap();
        payment
    }

    #[test]
    fn a_key_belongs_to_one_payment() {
        let mut book = Book::default();
        let one = payment("k");
        book.begin(&one).unwrap();
        assert_eq!(
            book.begin(&one),
            Ok(State::Unknown),
            "a repeat is no other payment"
        );
        let other = Payment {
            order: Order {
                amount_cents: 999,
                ..one.order.clone()
            },
            ..one
        };
        assert_eq!(book.begin(&other), Err(KeyReused));
    }

    #[test]
    fn a_key_that_belongs_to_a_forgotten_payment_is_given_back() {
        let mut book = Book::default();
        let (thief, accepted) = (payment("k"), queued(&mut book, "accepted"));
        book.begin(&thief).unwrap();
        book.disown(&thief.key);
        assert_eq!(book.state(&thief.key), None);
        assert_eq!(book.age.len(), book.entries.len());

        book.disown(&accepted.key);
        assert_eq!(book.state(&accepted.key), Some(State::Failed));
        assert_eq!(book.waiting(), 0);
    }

    #[test]
    fn of_a_payment_that_was_never_sent_nothing_is_unknown() {
        let mut book = Book::default();
        let payment = payment("k");
        book.begin(&payment).unwrap();
        book.begin(&payment).unwrap();
        book.unsent(&payment.key);
        assert_eq!(
            book.state(&payment.key),
            Some(State::Unknown),
            "its twin may have been sent"
        );
        book.unsent(&payment.key);
        assert_eq!(book.state(&payment.key), None);
        assert_eq!(book.age.len(), 0);
    }

    #[test]
    fn a_payment_waits_once_however_often_it_is_queued() {
        let mut book = Book::default();
        for _ in 0..3 {
            queued(&mut book, "k");
        }
        assert_eq!(book.waiting(), 1);
    }

    #[test]
    fn those_that_wait_take_turns_until_they_are_settled() {
        let mut book = Book::default();
        let (a, b) = (queued(&mut book, "a"), queued(&mut book, "b"));
        assert_eq!(book.next(), Some(a.clone()));
        assert_eq!(book.next(), Some(b.clone()));
        book.settle(&a.key, State::Charged);
        assert_eq!(book.next(), Some(b.clone()));
        assert_eq!(book.next(), Some(b.clone()));
        book.settle(&b.key, State::Failed);
        assert_eq!(book.next(), None);
    }

    #[test]
    fn a_payment_that_was_made_is_made_whatever_is_heard_of_it_later() {
        let mut book = Book::default();
        let paid = queued(&mut book, "k");
        book.settle(&paid.key, State::Charged);
        book.settle(&paid.key, State::Failed);
        assert_eq!(book.state(&paid.key), Some(State::Charged));
        book.queue(&paid).unwrap();
        assert_eq!(book.waiting(), 0);
    }

    #[test]
    fn the_queue_is_bounded_and_takes_more_when_it_has_room() {
        let mut book = Book::default();
        for n in 0..MAX_WAITING {
            queued(&mut book, &format!("k{n}"));
        }
        let late = payment("late");
        book.begin(&late).unwrap();
        assert_eq!(book.queue(&late), Err(Full));
        assert_eq!(book.state(&late.key), Some(State::Unknown));
        book.settle(&payment("k0").key, State::Charged);
        assert_eq!(book.queue(&late), Ok(()));
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_nobody_who_waits() {
        let mut book = Book::default();
        let waiting = queued(&mut book, "first");
        for n in 0..2 * MAX_REMEMBERED {
            book.begin(&payment(&format!("k{n}"))).unwrap();
        }
        assert_eq!(book.entries.len(), MAX_REMEMBERED);
        assert_eq!(book.age.len(), MAX_REMEMBERED);
        assert_eq!(book.state(&waiting.key), Some(State::Pending));
        assert_eq!(book.state(&payment("k0").key), None);
    }
}
