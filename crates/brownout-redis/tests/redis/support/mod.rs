//! Real servers, cables between them and the store, and shorthand.

mod cable;
mod server;
mod values;

pub(crate) use self::cable::Cable;
pub(crate) use self::server::Server;
pub(crate) use self::values::{
    change, count, flag, ids, kind, replica, rule, said, stack, summary, written,
};

use std::time::Duration;

use brownout_redis::{RedisStore, RedisStoreBuilder};

/// A store in the namespace `shop`, that loses patience soon.
pub(crate) fn store(url: &str) -> RedisStore {
    builder(url).build().expect("the test's settings are valid")
}

pub(crate) fn builder(url: &str) -> RedisStoreBuilder {
    RedisStore::builder(url)
        .namespace("shop")
        .timeout(Duration::from_millis(400))
        .silence(Duration::from_millis(400))
}
