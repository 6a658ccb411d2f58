//! What a server says of itself when it is met: version, role, clock.

use std::sync::{Mutex, PoisonError};

use redis::Value;
use tokio::time::Instant;

use crate::error::RedisStoreError;
use crate::peer::Peer;

/// What a server said of itself.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) version: String,
    pub(crate) mode: String,
    role: String,
    pub(crate) clock: Clock,
}

/// What a server's clock shows, as far as it was last heard of: clocks drift apart within days, and are set.
#[derive(Debug)]
pub(crate) struct Clock(Mutex<(u64, Instant)>);

/// The oldest version that knows everything the scripts need.
const OLDEST: u32 = 7;

impl Server {
    pub(crate) fn of(hello: &Value, at: Instant) -> Self {
        let field = |wanted: &str| {
            let pairs = match hello {
                Value::Map(pairs) => pairs.as_slice(),
                _ => &[],
            };
            let found = pairs.iter().find(|(name, _)| text(name) == Some(wanted));
            found
                .and_then(|(_, value)| text(value))
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            version: field("version"),
            mode: field("mode"),
            role: field("role"),
            clock: Clock(Mutex::new((0, at))),
        }
    }

    pub(crate) fn check(&self, peer: &Peer) -> Result<(), RedisStoreError> {
        let major = self.version.split('.').next().unwrap_or_default();
        if major.parse::<u32>().ok().is_none_or(|major| major < OLDEST) {
            return Err(RedisStoreError::TooOld {
                address: peer.address.clone(),
                version: self.version.chars().take(32).collect(),
            });
        }
        if self.mode == "sentinel" {
            let detail = "it is a Sentinel; name it in `sentinels`, and the primary in the URL";
            return Err(peer.is_unsupported(detail));
        }
        if self.role == "replica" || self.role == "slave" {
            return Err(RedisStoreError::NotPrimary {
                address: peer.address.clone(),
            });
        }
        Ok(())
    }
}

impl Clock {
    /// It showed `now`, in milliseconds, to somebody who asked at that moment of ours.
    pub(crate) fn heard(&self, now: u64, asked: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (now, asked);
    }

    /// What it shows at that moment of ours, or a little more: by as much as it took to hear of it.
    pub(crate) fn at(&self, at: Instant) -> u64 {
        let (clock, asked) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = at.saturating_duration_since(asked).as_millis();
        clock.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

/// The answer to `TIME`, in milliseconds.
pub(crate) fn clock(time: Value, peer: &Peer) -> Result<u64, RedisStoreError> {
    let (seconds, micros): (u64, u64) =
        redis::from_redis_value(time).map_err(|error| peer.says(&error.into()))?;
    Ok(seconds.saturating_mul(1_000).saturating_add(micros / 1_000))
}

pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
