//! A server as errors name it, and what its own errors mean.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::error::RedisStoreError;

/// Whom an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) address: String,
    pub(crate) user: String,
}

/// What is said of a missing right without the code `NOPERM`: by scripts of Redis 7.0, by those of later ones, and by the
/// client where the server does not let it select a database.
const RIGHTS: [&str; 3] = [
    "The user executing the script can't",
    "ACL failure in script",
    "has no permissions to run the '",
];

impl Peer {
    /// What the client's error says of this peer.
    pub(crate) fn says(&self, error: &RedisError) -> RedisStoreError {
        let address = self.address.clone();
        let detail = words(error);
        match (error.kind(), error.code()) {
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) => RedisStoreError::MissingRight {
                address,
                user: self.user.clone(),
                detail,
            },
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => {
                RedisStoreError::WrongPassword {
                    address,
                    user: self.user.clone(),
                }
            }
            _ if RIGHTS.iter().any(|words| detail.contains(words)) => {
                RedisStoreError::MissingRight {
                    address,
                    user: self.user.clone(),
                    detail,
                }
            }
            (ErrorKind::RESP3NotSupported, _) => RedisStoreError::TooOld {
                address,
                version: "before 6".to_owned(),
            },
            // The namespace is moving, or has moved: the next connection finds it.
            _ if error.is_cluster_error() => RedisStoreError::Unreachable { address, detail },
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => {
                RedisStoreError::NotPrimary { address }
            }
            (_, Some("OOM" | "MISCONF" | "NOREPLICAS")) => {
                RedisStoreError::TakesNoWrites { address, detail }
            }
            (ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown), _) => {
                RedisStoreError::Unreachable { address, detail }
            }
            (ErrorKind::Io, _) => RedisStoreError::Unreachable { address, detail },
            (ErrorKind::Parse, _) if detail.contains("end of input") => {
                RedisStoreError::Unreachable {
                    address,
                    detail: "the connection broke in the middle of an answer".to_owned(),
                }
            }
            (ErrorKind::Parse, _) => RedisStoreError::Unsupported {
                address,
                detail: "what listens there does not speak Redis's protocol".to_owned(),
            },
            _ if error.is_unrecoverable_error() => RedisStoreError::Unreachable { address, detail },
            _ => RedisStoreError::Other { address, detail },
        }
    }

    pub(crate) fn is_silent(&self, doing: &'static str, within: Duration) -> RedisStoreError {
        RedisStoreError::TimedOut {
            address: self.address.clone(),
            doing,
            within,
        }
    }

    pub(crate) fn has_hung_up(&self) -> RedisStoreError {
        RedisStoreError::Unreachable {
            address: self.address.clone(),
            detail: "it has closed the connection".to_owned(),
        }
    }

    pub(crate) fn is_unsupported(&self, detail: impl Into<String>) -> RedisStoreError {
        RedisStoreError::Unsupported {
            address: self.address.clone(),
            detail: detail.into(),
        }
    }
}

/// What a server said, without the client's own decoration.
fn words(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some("ERR"), Some(detail)) => detail.to_owned(),
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}
