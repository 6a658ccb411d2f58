//! What a chain says in the log of each call. A process of its own: tracing remembers for a place in the code whether
//! anybody listens, and tests beside this one would be among those whom it asks.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use brownout::{core::BoxError, fallback::FallbackLayer};
use brownout_testing::LogCapture;
use tower::{Layer, service_fn};
use tracing::Level;

#[tokio::test]
async fn the_log_says_why_a_tier_was_not_asked_for_a_request_that_may_be_a_write() {
    let log = LogCapture::at(Level::DEBUG);
    let primary = service_fn(|_: u32| async { Err::<u32, BoxError>("down".into()) });
    let layer = FallbackLayer::for_results()
        .tier_fn("rules", |_| async { Ok::<_, BoxError>(1) })
        .last("empty", |_| async { 0 })
        .unwrap();
    let answer = layer.layer(primary).oneshot(1).await;
    assert_eq!(answer.unwrap_err().to_string(), "down");
    let said = log.find_all("fallback tier not asked");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].field("tier"), Some("rules"));
    assert_eq!(said[0].field("cause"), Some("failed"));
}
