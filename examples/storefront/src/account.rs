//! What the services behind the dashboard know of a customer.

use serde::{Deserialize, Serialize};

use crate::customer::UserId;

/// Something that was bought before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PastOrder {
    pub(crate) number: String,
    pub(crate) total_cents: u64,
}

/// Something that a customer should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notification {
    pub(crate) text: String,
}

/// What a customer has in store with the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Balance {
    pub(crate) cents: i64,
}

/// Made up by rule: everybody has bought something.
pub(crate) fn past_orders(user: UserId) -> Vec<PastOrder> {
    (1..=1 + user.0 % 3)
        .map(|n| PastOrder {
            number: format!("{user}-{n}"),
            total_cents: 1_999 * n,
        })
        .collect()
}

/// Made up by rule: everybody has a parcel on its way.
pub(crate) fn notifications(user: UserId) -> Vec<Notification> {
    vec![Notification {
        text: format!("Your order {user}-1 is on its way"),
    }]
}

/// Made up by rule: nobody has nothing, so that nothing is not taken for an answer.
pub(crate) fn balance(user: UserId) -> Balance {
    Balance {
        cents: 500 + (user.0 % 100).cast_signed(),
    }
}
