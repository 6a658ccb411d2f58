//! A server as errors name it, and what its own errors mean.

use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, ServerErrorKind};

use crate::error::RedisStoreError;

/// Whom an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) address: String,
    user: String,
    way: Way,
}

/// How it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Encrypted,
    /// Through a socket of this machine, where nobody speaks TLS.
    Local,
}

/// What is said of a missing right without the code `NOPERM`: by scripts of Redis 7.0, by those of later ones, and by the
/// client where the server does not let it select a database.
const RIGHTS: [&str; 3] = [
    "The user executing the script can't",
    "ACL failure in script",
    "has no permissions to run the '",
];

/// What helps where nothing more is known.
mod hint {
    pub(super) const ADDRESS: &str = "check the address, and that the server runs";
    pub(super) const MAY_BE_ENCRYPTED: &str = "check the address, and that the server runs; it may speak TLS only: then write `rediss://`";
    pub(super) const MAY_BE_PLAIN: &str =
        "check the address; the server there may not speak TLS, which `rediss://` asks for";
    pub(super) const CERTIFICATE: &str = "check the server's certificate: its dates, its names, and who signed it (`root_certificate`)";
    pub(super) const TLS: &str = "TLS 1.2 or 1.3 is needed; the server's log may say more";
    pub(super) const SILENCE: &str = "the server hangs, or the network between";
    pub(super) const SILENCE_OR_PLAIN: &str = "the server hangs, or the network between, or it may not speak TLS, which `rediss://` asks for";
}

impl Peer {
    pub(crate) fn of(info: &ConnectionInfo) -> Self {
        let user = info.redis_settings().username().unwrap_or("default");
        Self {
            address: info.addr().to_string(),
            user: user.to_owned(),
            way: match info.addr() {
                ConnectionAddr::Tcp(..) => Way::Plain,
                ConnectionAddr::TcpTls { .. } => Way::Encrypted,
                _ => Way::Local,
            },
        }
    }

    /// What the client's error says of this peer, with whom no connection has come about: one side may speak TLS and the
    /// other not.
    pub(crate) fn says_on_connecting(&self, error: &RedisError) -> RedisStoreError {
        let mut said = self.says(error);
        let hung_up = error.is_connection_dropped() && !error.is_connection_refusal();
        match (&mut said, self.way) {
            (RedisStoreError::Unreachable { hint, .. }, Way::Plain) if hung_up => {
                *hint = hint::MAY_BE_ENCRYPTED;
            }
            (RedisStoreError::Unreachable { hint, .. }, Way::Encrypted) if hung_up => {
                *hint = hint::MAY_BE_PLAIN;
            }
            // An alert of TLS, say.
            (RedisStoreError::Unsupported { detail, .. }, Way::Plain)
                if error.kind() == ErrorKind::Parse =>
            {
                detail.push_str(", or only within TLS: then write `rediss://`");
            }
            _ => {}
        }
        said
    }

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
                    detail: without_place(&detail).to_owned(),
                }
            }
            (ErrorKind::RESP3NotSupported, _) => RedisStoreError::TooOld {
                address,
                version: "before 6".to_owned(),
            },
            // The namespace is moving, or has moved: the next connection finds it.
            _ if error.is_cluster_error() => self.is_unreachable(detail),
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => {
                RedisStoreError::NotPrimary { address }
            }
            (_, Some("OOM" | "MISCONF" | "NOREPLICAS")) => {
                RedisStoreError::TakesNoWrites { address, detail }
            }
            (ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown), _) => {
                self.is_unreachable(detail)
            }
            (ErrorKind::Io, _) if self.way == Way::Encrypted => self.fails_in_tls(detail),
            (ErrorKind::Io, _) => self.is_unreachable(detail),
            (ErrorKind::Parse, _) if detail.contains("end of input") => {
                self.is_unreachable("the connection broke in the middle of an answer")
            }
            (ErrorKind::Parse, _) => {
                self.is_unsupported("what listens there does not speak Redis's protocol")
            }
            _ if error.is_unrecoverable_error() => self.is_unreachable(detail),
            _ => RedisStoreError::Other { address, detail },
        }
    }

    pub(crate) fn is_silent(&self, doing: &'static str, within: Duration) -> RedisStoreError {
        let hint = match (self.way, doing) {
            // A server that waits for a line of text has had none when it has had our half of a handshake.
            (Way::Encrypted, "connect") => hint::SILENCE_OR_PLAIN,
            _ => hint::SILENCE,
        };
        RedisStoreError::TimedOut {
            address: self.address.clone(),
            doing,
            within,
            hint,
        }
    }

    pub(crate) fn has_hung_up(&self) -> RedisStoreError {
        self.is_unreachable("it has closed the connection")
    }

    fn is_unreachable(&self, detail: impl Into<String>) -> RedisStoreError {
        RedisStoreError::Unreachable {
            address: self.address.clone(),
            detail: detail.into(),
            hint: hint::ADDRESS,
        }
    }

    /// What rustls says has no kind of its own in the client, only rustls's words.
    fn fails_in_tls(&self, detail: String) -> RedisStoreError {
        if detail.contains("CertificateRequired") {
            return self.is_unsupported(
                "it asks for a certificate of ours, and brownout-redis has none to show: set `tls-auth-clients no` there",
            );
        }
        RedisStoreError::Unreachable {
            address: self.address.clone(),
            hint: match detail.as_str() {
                words if words.contains("peer certificate") => hint::CERTIFICATE,
                words if words.contains("corrupt message") => hint::MAY_BE_PLAIN,
                words if words.contains("fatal alert") || words.contains("incompatible") => {
                    hint::TLS
                }
                _ => hint::ADDRESS,
            },
            detail,
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

/// Without the digest of the script and the line in it, which help nobody to find the right and leave less room for what
/// does.
fn without_place(detail: &str) -> &str {
    match detail.rsplit_once(" script: ") {
        Some((words, place)) if place.contains("on @user_script") => words,
        _ => detail,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use brownout_registry::fleet::StoreError;

    use super::*;

    /// A peer with a name as long as those of managed servers.
    fn peer(way: Way) -> Peer {
        Peer {
            address: "master.shop-prod.abc123.euw1.cache.example.com:6379".to_owned(),
            user: "shop".to_owned(),
            way,
        }
    }

    /// Whether operators read it to the end.
    fn is_read_whole(error: RedisStoreError) -> bool {
        let whole = error.to_string();
        StoreError::from(error).private_detail() == whole
    }

    #[test]
    fn what_helps_is_not_cut_off_behind_long_words() {
        let place = "script: d923b551d93da8f15e3942419332e2e165057fc8, on @user_script:103.";
        let said = format!(
            "The user executing the script can't access at least one of the keys mentioned in the command arguments {place}"
        );
        let right = redis::make_extension_error("ERR".to_owned(), Some(said));
        assert!(is_read_whole(peer(Way::Plain).says(&right)));

        let reset = RedisError::from(io::Error::from_raw_os_error(104));
        let untrusted =
            io::Error::other("invalid peer certificate: certificate not valid for name");
        for way in [Way::Plain, Way::Encrypted] {
            assert!(is_read_whole(peer(way).says_on_connecting(&reset)));
            assert!(is_read_whole(
                peer(way).is_silent("connect", Duration::from_millis(1_500))
            ));
        }
        assert!(is_read_whole(peer(Way::Encrypted).says(&untrusted.into())));
    }
}
