//! The names of everything that one namespace has in Redis.

use std::fmt;
use std::sync::Arc;

use brownout_registry::fleet::ReplicaId;

use crate::error::RedisStoreError;

/// The part of a server that one service has for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace(Arc<str>);

/// What a namespace may be called.
pub(crate) const NAMESPACE_RULE: &str =
    "1 to 64 ASCII letters, digits, `-`, `_` or `.`, such as the name of the service";

impl Namespace {
    pub(crate) fn new(name: &str) -> Result<Self, RedisStoreError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        // No braces, which would end the hash tag; no colons; nothing that is a pattern in an ACL rule.
        if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.into()))
        } else {
            Err(RedisStoreError::InvalidNamespace {
                given: name.chars().take(64).collect(),
            })
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of the state, from which scripts derive all others.
    pub(crate) fn meta(&self) -> String {
        format!("{self}:meta")
    }

    /// The channel of changes.
    pub(crate) fn changes(&self) -> String {
        format!("{self}:changes")
    }

    /// The channel on which a replica tells itself something.
    pub(crate) fn canary(&self, replica: &ReplicaId) -> String {
        format!("{self}:canary:{replica}")
    }

    /// The key of a value, by its member in the index.
    pub(crate) fn value(&self, member: &str) -> String {
        format!("{self}:{member}")
    }

    /// The key of a replica's summary.
    pub(crate) fn summary(&self, replica: &str) -> String {
        format!("{self}:r:{replica}")
    }
}

/// The hash tag, with which every key begins.
impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_namespace_share_one_hash_tag() {
        let namespace = Namespace::new("shop-eu.1").unwrap();
        let replica = ReplicaId::new("a{b}").unwrap();
        assert_eq!(namespace.meta(), "{shop-eu.1}:meta");
        assert_eq!(namespace.canary(&replica), "{shop-eu.1}:canary:a{b}");
    }

    #[test]
    fn what_would_break_keys_or_rules_is_no_namespace() {
        let long = "x".repeat(65);
        for name in [
            "", "a b", "a:b", "{a}", "a*", "a?", "[a]", "ä", "a\n", &long,
        ] {
            let error = Namespace::new(name).unwrap_err();
            assert!(
                matches!(error, RedisStoreError::InvalidNamespace { .. }),
                "{name:?}"
            );
        }
        assert!(Namespace::new(&long[..64]).is_ok());
    }
}
