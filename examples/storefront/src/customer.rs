//! Customers, as the shop and the services behind it know them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A customer's number. Nobody may have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct UserId(pub(crate) u64);

/// A text that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoUserId;

/// What a page needs to greet a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) id: UserId,
    pub(crate) tier: Tier,
    pub(crate) language: String,
    pub(crate) newsletter: bool,
}

/// How good a customer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tier {
    Standard,
    Gold,
}

/// The customers that there are, made up by rule: 1 to 10,000.
pub(crate) fn everybody() -> impl Iterator<Item = Profile> {
    (1..=10_000).map(|id| Profile {
        tier: if id % 10 == 0 {
            Tier::Gold
        } else {
            Tier::Standard
        },
        newsletter: id % 2 == 0,
        ..Profile::minimal(UserId(id))
    })
}

impl Profile {
    /// What can be said of a customer of whom nothing is known: enough for a page, and no promise that cannot be kept.
    pub(crate) fn minimal(id: UserId) -> Self {
        Self {
            id,
            tier: Tier::Standard,
            language: "en".to_owned(),
            newsletter: false,
        }
    }
}

impl Tier {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Gold => "gold",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Standard, Self::Gold]
            .into_iter()
            .find(|tier| tier.as_str() == name)
    }
}

impl FromStr for UserId {
    type Err = NoUserId;

    fn from_str(text: &str) -> Result<Self, NoUserId> {
        // A leading plus, which Rust's own parser takes, would give one customer two addresses.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoUserId);
        }
        text.parse().map(Self).map_err(|_| NoUserId)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customers_number_is_written_in_digits() {
        assert_eq!("42".parse(), Ok(UserId(42)));
        for wrong in ["", "me", "-1", "+1", "1.5", "99999999999999999999", " 1"] {
            assert_eq!(wrong.parse::<UserId>(), Err(NoUserId), "{wrong:?}");
        }
    }

    #[test]
    fn a_tier_is_found_by_its_name() {
        for tier in [Tier::Standard, Tier::Gold] {
            assert_eq!(Tier::named(tier.as_str()), Some(tier));
        }
        assert_eq!(Tier::named("platinum"), None);
    }
}
