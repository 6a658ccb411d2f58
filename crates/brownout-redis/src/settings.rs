//! What a store has been told: where its server is, what it is called there, how long anything may take.

use std::fmt;
use std::time::Duration;

use brownout_registry::Random;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use crate::error::RedisStoreError;
use crate::keys::Namespace;
use crate::peer::Peer;

/// All of it, checked.
pub(crate) struct Settings {
    /// The server, or those who know where it is.
    pub(crate) places: Vec<Client>,
    /// How the server is spoken to, wherever it is.
    pub(crate) server: ConnectionInfo,
    /// The name by which Sentinels know the server.
    pub(crate) primary: Option<String>,
    pub(crate) namespace: Namespace,
    pub(crate) timeout: Duration,
    pub(crate) silence: Duration,
    pub(crate) random: Random,
}

impl Settings {
    /// The server as it was named, for errors that come before it was found.
    pub(crate) fn peer(&self) -> Peer {
        let mut peer = Peer::of(&self.server);
        if let Some(name) = &self.primary {
            peer.address = format!("primary `{name}`");
        }
        peer
    }

    /// The server at another place, spoken to as ours. Without a host it is where we were sent on from.
    pub(crate) fn server_at(
        &self,
        from: &Client,
        host: &str,
        port: u16,
        peer: &Peer,
    ) -> Result<Client, RedisStoreError> {
        let info = from.get_connection_info();
        let host = match host {
            "" | "?" => self::host(info.addr()).unwrap_or_default(),
            named => named,
        };
        let address = match self.server.addr().clone() {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure,
                tls_params,
            },
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        let moved = self.server.clone().set_addr(address);
        Client::open(moved).map_err(|error| peer.says(&error))
    }
}

/// What the URL says. Nothing of it is in the error, since a password may be anywhere in what does not parse.
pub(crate) fn parsed(url: &str) -> Result<ConnectionInfo, RedisStoreError> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(malformed("it has no scheme"));
    };
    if matches!(scheme, "rediss" | "valkeys") && !cfg!(feature = "tls") {
        let fault = "it asks for TLS; turn on the feature `tls` of brownout-redis".to_owned();
        return Err(RedisStoreError::InvalidUrl { fault });
    }
    if !matches!(
        scheme,
        "redis" | "rediss" | "valkey" | "valkeys" | "unix" | "redis+unix" | "valkey+unix"
    ) {
        let fault = "its scheme is none of redis, rediss, valkey, valkeys and unix";
        return Err(malformed(fault));
    }
    // What stands before it would be taken for a host and port, which are in every error.
    if !scheme.contains("unix")
        && let Some((_, behind)) = rest.split_once(['/', '?', '#'])
        && behind.contains('@')
    {
        let fault = "a `/`, `?` or `#` in its user or password is written %2F, %3F or %23";
        return Err(malformed(fault));
    }
    let info = url
        .into_connection_info()
        .map_err(|error| invalid(&error))?;
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3)
        // Saves a right: servers before 7.2 do not know the command.
        .set_skip_set_lib_name();
    Ok(info.set_redis_settings(settings))
}

/// The fault alone, without what it was found in.
pub(crate) fn invalid(error: &redis::RedisError) -> RedisStoreError {
    let said = error.to_string();
    malformed(said.split(" - ").next().unwrap_or_default())
}

fn malformed(fault: &str) -> RedisStoreError {
    RedisStoreError::InvalidUrl {
        fault: format!("{fault}; it is written redis://user:password@host:port/database"),
    }
}

pub(crate) fn host(address: &ConnectionAddr) -> Option<&str> {
    match address {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => Some(host),
        _ => None,
    }
}

/// Without URLs, in which passwords are.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("server", &self.server.addr().to_string())
            .field("primary", &self.primary)
            .field("namespace", &self.namespace)
            .field("timeout", &self.timeout)
            .field("silence", &self.silence)
            .finish_non_exhaustive()
    }
}
