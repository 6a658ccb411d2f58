//! What every store promises.

use std::time::Duration;

use brownout_redis::RedisStore;
use brownout_testing::fleet::conforms;

use crate::support::Server;

#[tokio::test]
async fn redis_keeps_the_promises_of_a_store() {
    let server = Server::start();
    conforms(async |namespace: &str| {
        let builder = RedisStore::builder(server.url()).namespace(namespace);
        // The suite's own patience is longer: what is slow here is the machine.
        builder.timeout(Duration::from_secs(4)).build().unwrap()
    })
    .await;
}
