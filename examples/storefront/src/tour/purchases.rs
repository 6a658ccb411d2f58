//! What the tour's customers have paid, to be compared with the payment service's ledger.

use axum::http::StatusCode;

use super::{answers::Answer, visitor::Wish};
use crate::{
    customer::UserId,
    payment::{Key, NoKey, Order},
    upstream::Ledger,
};

/// All payments of the tour. Each is of an amount of its own, by which it is found in the ledger whatever its key.
#[derive(Debug, Default)]
pub(super) struct Purchases(Vec<Purchase>);

/// A payment, and what the shop said of it.
#[derive(Clone, Debug)]
pub(super) struct Purchase {
    number: usize,
    pub(super) key: Key,
    pub(super) order: Order,
    answers: Vec<StatusCode>,
}

/// How the shop's word compares with the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Audit {
    /// Payments that were charged more than once.
    pub(super) twice: usize,
    /// Payments that were answered with 201.
    pub(super) charged: usize,
    /// Of those, the ones that are not in the ledger.
    pub(super) charged_and_lost: usize,
    /// Payments that were answered with 202.
    pub(super) queued: usize,
    /// Of those, the ones that are not in the ledger.
    pub(super) queued_and_lost: usize,
    /// Charges that no payment accounts for.
    pub(super) unasked: usize,
}

impl Purchases {
    /// A payment that was never made before.
    pub(super) fn next(&mut self) -> Result<Purchase, NoKey> {
        let number = self.0.len();
        let purchase = Purchase {
            number,
            key: format!("tour-{number}").parse()?,
            order: Order {
                user: UserId(42),
                amount_cents: 1_000 + number as u64,
            },
            answers: Vec::new(),
        };
        self.0.push(purchase.clone());
        Ok(purchase)
    }

    /// Takes down what the shop said of a payment.
    pub(super) fn answered(&mut self, purchase: &Purchase, answer: &Answer) {
        if let Some(purchase) = self.0.get_mut(purchase.number) {
            purchase.answers.extend(answer.status);
        }
    }

    /// Those of which the shop last gave one of these answers.
    pub(super) fn last_answered(&self, statuses: &[StatusCode]) -> Vec<Purchase> {
        let last = |purchase: &&Purchase| {
            let last = purchase.answers.last();
            last.is_some_and(|status| statuses.contains(status))
        };
        self.0.iter().filter(last).cloned().collect()
    }

    /// Compares what the shop said with what was charged.
    pub(super) fn audit(&self, ledger: &Ledger) -> Audit {
        let mut audit = Audit::default();
        let mut accounted = 0;
        for purchase in &self.0 {
            let times = ledger.times_charged(&purchase.order);
            accounted += times;
            audit.twice += usize::from(times > 1);
            let lost = usize::from(times == 0);
            if purchase.was_answered(StatusCode::CREATED) {
                audit.charged += 1;
                audit.charged_and_lost += lost;
            }
            if purchase.was_answered(StatusCode::ACCEPTED) {
                audit.queued += 1;
                audit.queued_and_lost += lost;
            }
        }
        audit.unasked = ledger.len().saturating_sub(accounted);
        audit
    }
}

impl Purchase {
    /// To pay for it.
    pub(super) fn wish(&self) -> Wish {
        Wish::Pay(self.key.clone(), self.order.clone())
    }

    fn was_answered(&self, status: StatusCode) -> bool {
        self.answers.contains(&status)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Bytes;

    use super::*;
    use crate::payment::Payment;

    fn answer(status: StatusCode) -> Answer {
        Answer {
            status: Some(status),
            degraded: None,
            no_store: false,
            body: Bytes::new(),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn the_audit_finds_what_was_lost_and_what_was_never_asked_for() {
        let (mut purchases, ledger) = (Purchases::default(), Ledger::default());
        let mut pay = |status, key: Option<&str>| {
            let purchase = purchases.next().unwrap();
            purchases.answered(&purchase, &answer(status));
            if let Some(key) = key {
                let key = key.parse().unwrap();
                ledger.enter(Payment {
                    key,
                    order: purchase.order,
                });
            }
        };
        pay(StatusCode::CREATED, Some("a"));
        pay(StatusCode::CREATED, None);
        pay(StatusCode::ACCEPTED, None);
        pay(StatusCode::ACCEPTED, Some("b"));
        pay(StatusCode::SERVICE_UNAVAILABLE, None);
        let stray = Order {
            user: UserId(1),
            amount_cents: 1,
        };
        ledger.enter(Payment {
            key: "c".parse().unwrap(),
            order: stray,
        });
        let found = Audit {
            twice: 0,
            charged: 2,
            charged_and_lost: 1,
            queued: 2,
            queued_and_lost: 1,
            unasked: 1,
        };
        assert_eq!(purchases.audit(&ledger), found);
    }

    #[test]
    fn a_payment_that_was_charged_under_two_keys_was_charged_twice() {
        let (mut purchases, ledger) = (Purchases::default(), Ledger::default());
        let order = purchases.next().unwrap().order;
        for key in ["a", "b"] {
            ledger.enter(Payment {
                key: key.parse().unwrap(),
                order: order.clone(),
            });
        }
        assert_eq!(purchases.audit(&ledger).twice, 1);
    }
}
