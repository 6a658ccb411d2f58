//! Payments, as the shop takes them and the payment service makes them.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::customer::UserId;

/// A payment: what is to be charged, under the key by which it is charged once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) key: Key,
    pub(crate) order: Order,
}

/// What is to be charged, and whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) user: UserId,
    pub(crate) amount_cents: u64,
}

/// An idempotency key: 1 to 64 letters, digits, `-` and `_`, as in a UUID. It needs no escaping in a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(Arc<str>);

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoKey;

/// An amount that no order of this shop comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrongAmount;

impl Order {
    const MAX_CENTS: u64 = 100_000_000;

    pub(crate) fn validate(self) -> Result<Self, WrongAmount> {
        (1..=Self::MAX_CENTS)
            .contains(&self.amount_cents)
            .then_some(self)
            .ok_or(WrongAmount)
    }
}

impl Key {
    pub(crate) const HEADER: &'static str = "idempotency-key";
    const MAX: usize = 64;

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Key {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let fits = (1..=Self::MAX).contains(&text.len());
        let written = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if fits && text.bytes().all(written) {
            Ok(Self(text.into()))
        } else {
            Err(NoKey)
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "an idempotency key is 1 to {} letters, digits, - and _, as in a UUID",
            Key::MAX
        )
    }
}

impl std::error::Error for NoKey {}

impl fmt::Display for WrongAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "amount_cents is 1 to {}", Order::MAX_CENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_and_needs_no_escaping() {
        for right in ["a", "9f1c-77_B", &"k".repeat(64)] {
            assert!(right.parse::<Key>().is_ok(), "{right}");
        }
        for wrong in ["", "two words", "schlüssel", "a/b", "..", &"k".repeat(65)] {
            assert_eq!(wrong.parse::<Key>(), Err(NoKey), "{wrong}");
        }
    }

    #[test]
    fn nothing_and_a_fortune_are_no_amounts() {
        let order = |amount_cents| Order {
            user: UserId(1),
            amount_cents,
        };
        assert!(order(1).validate().is_ok());
        assert!(order(Order::MAX_CENTS).validate().is_ok());
        assert_eq!(order(0).validate(), Err(WrongAmount));
        assert_eq!(order(Order::MAX_CENTS + 1).validate(), Err(WrongAmount));
    }
}
