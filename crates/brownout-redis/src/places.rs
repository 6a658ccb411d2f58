//! Those who know where a server is: Sentinels, and the nodes of a cluster.

use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};

use crate::connection::{Step, ask};
use crate::error::RedisStoreError;
use crate::keys::Namespace;
use crate::peer::Peer;
use crate::server::text;

/// Where the Sentinel says that the primary is.
pub(crate) async fn sentinel(
    inner: &mut MultiplexedConnection,
    peer: &Peer,
    name: &str,
) -> Result<Step, RedisStoreError> {
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    if let Value::Array(parts) = ask(inner, peer, &command).await?
        && let [host, port] = &parts[..]
        && let (Some(host), Some(port)) = (text(host), text(port))
        && let Ok(port) = port.parse()
    {
        return Ok(Step::At(host.to_owned(), port));
    }
    Err(peer.is_unsupported(format!("this Sentinel knows no primary `{name}`")))
}

/// Where in the cluster the namespace is, if not here.
pub(crate) async fn moved(
    inner: &mut MultiplexedConnection,
    peer: &Peer,
    namespace: &Namespace,
) -> Result<Option<(String, u16)>, RedisStoreError> {
    let mut command = redis::cmd("HMGET");
    command.arg(namespace.meta()).arg("format");
    let answer = inner.send_packed_command(&command).await;
    match answer.and_then(Value::extract_error) {
        Err(error) => match place(&error) {
            Some(place) => Ok(Some(place)),
            // Of another type, say: scripts will find that out.
            None if error.code() == Some("WRONGTYPE") => Ok(None),
            None => Err(peer.says(&error)),
        },
        Ok(_) => Ok(None),
    }
}

fn place(error: &RedisError) -> Option<(String, u16)> {
    let (address, _slot) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
}
