//! Real servers, cables between them and the store, and shorthand.

mod cable;
mod calls;
mod fake;
mod member;
mod server;
mod values;

pub(crate) use self::cable::Cable;
pub(crate) use self::calls::Calls;
pub(crate) use self::fake::{Fake, bulk, hello};
pub(crate) use self::member::{Member, until};
pub(crate) use self::server::{Server, program};
pub(crate) use self::values::{
    change, count, flag, ids, kind, quorum, replica, rule, said, stack, summary, written,
};

use std::time::Duration;

use brownout_redis::{RedisStore, RedisStoreBuilder};
use brownout_registry::fleet::StoreError;
use tokio::time::{Instant, sleep};

/// Longer than anything takes that works, and what takes less has not waited for it to be over.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// A store in the namespace `shop`, that is patient with a machine that is busy.
pub(crate) fn store(url: &str) -> RedisStore {
    builder(url).build().expect("the test's settings are valid")
}

/// The same, for servers that do not answer. What should succeed over it is asked for with [`soon`].
pub(crate) fn hasty(url: &str) -> RedisStore {
    let builder = builder(url)
        .timeout(Duration::from_millis(400))
        .silence(Duration::from_millis(400));
    builder.build().expect("the test's settings are valid")
}

pub(crate) fn builder(url: &str) -> RedisStoreBuilder {
    RedisStore::builder(url)
        .namespace("shop")
        .timeout(PATIENCE)
        .silence(PATIENCE)
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
