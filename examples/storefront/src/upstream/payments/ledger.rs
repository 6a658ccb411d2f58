//! The payment service's ledger: what was charged, once a key.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::payment::{Key, Order, Payment};

/// More than any demonstration charges.
const MAX_CHARGES: usize = 100_000;

/// The charges in the order in which they were made. None is ever taken back.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    charges: Vec<Payment>,
    by_key: HashMap<Key, usize>,
}

/// What a request for a charge came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// The charge was made, as this number.
    Now(usize),
    /// It had been made before, as this number.
    Before(usize),
    /// The key belongs to another charge.
    KeyReused,
    /// There is no room.
    Full,
}

impl Ledger {
    /// Charges, unless that was done before. Whether it was is found out and taken down in one, so that requests which
    /// come at the same time are charged once.
    pub(crate) fn enter(&self, payment: Payment) -> Entered {
        let mut pages = self.pages();
        let Pages { charges, by_key } = &mut *pages;
        match by_key.entry(payment.key.clone()) {
            Entry::Occupied(before) => match charges.get(*before.get()) {
                Some(charge) if charge.order == payment.order => Entered::Before(*before.get()),
                _ => Entered::KeyReused,
            },
            Entry::Vacant(_) if charges.len() >= MAX_CHARGES => Entered::Full,
            Entry::Vacant(new) => {
                let number = charges.len();
                new.insert(number);
                charges.push(payment);
                Entered::Now(number)
            }
        }
    }

    /// How often exactly this was charged, under whatever key.
    pub(crate) fn times_charged(&self, order: &Order) -> usize {
        let pages = self.pages();
        let charges = pages.charges.iter();
        charges.filter(|charge| charge.order == *order).count()
    }

    /// How many charges there are.
    pub(crate) fn len(&self) -> usize {
        self.pages().charges.len()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer::UserId;

    fn payment(key: &str, amount_cents: u64) -> Payment {
        Payment {
            key: key.parse().unwrap(),
            order: Order {
                user: UserId(1),
                amount_cents,
            },
        }
    }

    #[test]
    fn a_key_is_charged_once() {
        let ledger = Ledger::default();
        assert_eq!(ledger.enter(payment("a", 5)), Entered::Now(0));
        assert_eq!(ledger.enter(payment("a", 5)), Entered::Before(0));
        assert_eq!(ledger.enter(payment("a", 6)), Entered::KeyReused);
        assert_eq!(ledger.enter(payment("b", 5)), Entered::Now(1));
        assert_eq!(ledger.len(), 2);
    }

    #[test]
    fn a_key_is_charged_once_however_many_ask_at_the_same_time() {
        let ledger = Ledger::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for n in 0..200 {
                        ledger.enter(payment(&format!("k{n}"), n + 1));
                    }
                });
            }
        });
        assert_eq!(ledger.len(), 200);
        for n in 0..200 {
            assert_eq!(ledger.times_charged(&payment("k", n + 1).order), 1);
        }
    }
}
