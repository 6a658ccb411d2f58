//! Real servers, cables between them and the store, and shorthand.

mod cable;
mod fake;
mod member;
mod server;
mod values;

pub(crate) use self::cable::Cable;
pub(crate) use self::fake::{Fake, hello};
pub(crate) use self::member::{Member, until};
pub(crate) use self::server::{Server, program};
pub(crate) use self::values::{
    change, count, flag, ids, kind, replica, rule, said, stack, summary, written,
};

use std::time::Duration;

use brownout_redis::{RedisStore, RedisStoreBuilder};
use brownout_registry::fleet::StoreError;
use tokio::time::{Instant, sleep};

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

/// What comes of an operation, once the wait is over that follows a failure.
pub(crate) async fn soon<T>(run: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let begun = Instant::now();
    loop {
        match run().await {
            Ok(value) => return value,
            Err(error) if begun.elapsed() > Duration::from_secs(10) => {
                panic!("it has not recovered within ten seconds: {error}")
            }
            // The wait is the store's own, by the real clock, as its server's is.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}
