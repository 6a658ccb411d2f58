//! What can be wrong with a server, or with how it is reached.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use brownout_registry::fleet::{StoreError, StoreErrorKind};

use crate::keys::NAMESPACE_RULE;

/// Why a [`RedisStore`](crate::RedisStore) cannot be made, or an operation on it failed: what, where, and what to do.
///
/// None of them holds a password. Operations of [`FleetStore`](brownout_registry::fleet::FleetStore) give them as
/// [`StoreError`], with the same text as its private detail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisStoreError {
    /// The URL cannot be used. It is not repeated here, because a password may be in it.
    InvalidUrl {
        /// What is wrong with it, and what to do.
        fault: String,
    },
    /// No namespace was named.
    NoNamespace,
    /// The namespace cannot be part of a key.
    InvalidNamespace {
        /// What was given, cut off after 64 characters.
        given: String,
    },
    /// A setting is outside its range.
    Invalid {
        /// The field: `timeout`, `silence`, `sentinels` or `root_certificate`.
        field: &'static str,
        /// What the field allows.
        allowed: &'static str,
    },
    /// The server cannot be reached, or the connection to it broke.
    Unreachable {
        /// Of the server.
        address: String,
        /// What the system said.
        detail: String,
        /// What may help.
        hint: &'static str,
    },
    /// The server did not answer in time.
    TimedOut {
        /// Of the server.
        address: String,
        /// What it was asked for.
        doing: &'static str,
        /// How long that may take.
        within: Duration,
        /// What may be the reason.
        hint: &'static str,
    },
    /// The server knows no such user, or not by this password.
    WrongPassword {
        /// Of the server.
        address: String,
        /// The user's name.
        user: String,
    },
    /// The user may not do what is needed.
    MissingRight {
        /// Of the server.
        address: String,
        /// The user's name.
        user: String,
        /// Which right it is, in the server's words.
        detail: String,
    },
    /// The server is older than version 7.
    TooOld {
        /// Of the server.
        address: String,
        /// Its version, as far as it says.
        version: String,
    },
    /// The server is of another kind than was expected.
    Unsupported {
        /// Of the server.
        address: String,
        /// What it is.
        detail: String,
    },
    /// The server is a replica of another one.
    NotPrimary {
        /// Of the server.
        address: String,
    },
    /// The server takes no writes, though it is read: it is out of memory, or it cannot save.
    TakesNoWrites {
        /// Of the server.
        address: String,
        /// What it said.
        detail: String,
    },
    /// The namespace holds as much as it may.
    Full {
        /// Of the server.
        address: String,
        /// How many values there may be.
        limit: String,
    },
    /// A key or a message of the namespace is not ours, or is damaged.
    Damaged {
        /// Which key or channel.
        key: String,
        /// What is wrong with it.
        fault: String,
    },
    /// A key or a message of the namespace was written by a newer version.
    Newer {
        /// Which key or channel.
        key: String,
        /// The number of its format.
        format: String,
    },
    /// The command reached the server when it had been given up; the server has not run it.
    Late {
        /// Of the server.
        address: String,
    },
    /// Anything else.
    Other {
        /// Of the server.
        address: String,
        /// What it said.
        detail: String,
    },
}

impl RedisStoreError {
    /// What kind of trouble it is.
    pub const fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Unreachable { .. } => StoreErrorKind::Unreachable,
            Self::TimedOut { .. } | Self::Late { .. } => StoreErrorKind::TimedOut,
            Self::WrongPassword { .. } | Self::MissingRight { .. } => StoreErrorKind::Refused,
            Self::TooOld { .. } | Self::Unsupported { .. } | Self::Newer { .. } => {
                StoreErrorKind::Unsupported
            }
            Self::NotPrimary { .. } | Self::TakesNoWrites { .. } | Self::Full { .. } => {
                StoreErrorKind::Full
            }
            Self::Damaged { .. } => StoreErrorKind::Damaged,
            Self::InvalidUrl { .. }
            | Self::NoNamespace
            | Self::InvalidNamespace { .. }
            | Self::Invalid { .. }
            | Self::Other { .. } => StoreErrorKind::Other,
        }
    }

    /// Whether it says that the connection is of no further use.
    pub(crate) const fn ends_connection(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::NotPrimary { .. }
                | Self::Unsupported { .. }
                | Self::WrongPassword { .. }
        )
    }
}

impl fmt::Display for RedisStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidUrl { fault } => write!(f, "redis URL: {fault}"),
            Self::NoNamespace => write!(f, "redis: no namespace; name one of {NAMESPACE_RULE}"),
            Self::InvalidNamespace { given } => {
                write!(f, "redis namespace {given:?}: it takes {NAMESPACE_RULE}")
            }
            Self::Invalid { field, allowed } => write!(f, "redis: {field} takes {allowed}"),
            Self::Unreachable {
                address,
                detail,
                hint,
            } => write!(f, "redis {address} cannot be reached: {detail}; {hint}"),
            Self::TimedOut {
                address,
                doing,
                within,
                hint,
            } => write!(
                f,
                "redis {address}: no answer to `{doing}` within {within:?}; {hint}"
            ),
            Self::WrongPassword { address, user } => write!(
                f,
                "redis {address} refuses user `{user}`: wrong or missing password, or the user is unknown or off; check \
                 the URL and the server's ACL"
            ),
            Self::MissingRight {
                address,
                user,
                detail,
            } => write!(
                f,
                "redis {address}: user `{user}` lacks a right that brownout-redis documents: {detail}{}",
                named_elsewhere(detail)
            ),
            Self::TooOld { address, version } => write!(
                f,
                "redis {address} is of version {version}; Redis 7 or Valkey 7.2 is needed, or newer"
            ),
            Self::Unsupported { address, detail } => {
                write!(f, "redis {address} cannot be used: {detail}")
            }
            Self::NotPrimary { address } => write!(
                f,
                "redis {address} is a replica, which takes no writes; name its primary"
            ),
            Self::TakesNoWrites { address, detail } => {
                write!(
                    f,
                    "redis {address} takes no writes: {detail}; give it memory or disk"
                )
            }
            Self::Full { address, limit } => write!(
                f,
                "redis {address}: the namespace holds {limit} already, which is the most; let some expire"
            ),
            Self::Damaged { key, fault } => write!(
                f,
                "redis key {key}: {fault}; delete it, or use a namespace of your own"
            ),
            Self::Newer { key, format } => write!(
                f,
                "redis key {key} has format {format}, of a newer brownout-redis; update this replica"
            ),
            Self::Late { address } => write!(
                f,
                "redis {address}: the command came too late and was not run; the server stood still or its clock was set"
            ),
            Self::Other { address, detail } => write!(f, "redis {address}: {detail}"),
        }
    }
}

impl Error for RedisStoreError {}

impl From<RedisStoreError> for StoreError {
    fn from(error: RedisStoreError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Where to find which right is missing. Servers name the command that a user may not run, though Redis 7.0 not in scripts;
/// of keys and channels they need not say which. Their log has all of them, from within scripts too.
fn named_elsewhere(detail: &str) -> &'static str {
    if detail.contains("permissions to run the '") {
        ""
    } else {
        "; `ACL LOG` on the server names it"
    }
}
