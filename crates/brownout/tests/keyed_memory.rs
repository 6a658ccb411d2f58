//! A keyed circuit is small, because there may be very many.
//!
//! A test binary of its own, because it counts the bytes that its thread allocates.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use allocation_counter::measure;
use brownout::{
    Registry,
    breaker::{CircuitBreakerLayer, KeyedCircuits, Policy},
    core::Rejected,
};
use std::future::{Ready, ready};
use tower::{Layer, Service, service_fn};

const KEYS: u32 = 10_000;
const MOST_BYTES: i64 = 512;

#[derive(Debug)]
struct Failed(#[expect(dead_code, reason = "kept, as a real error would")] Rejected);

impl From<Rejected> for Failed {
    fn from(rejected: Rejected) -> Self {
        Self(rejected)
    }
}

#[test]
fn ten_thousand_keyed_circuits_take_512_bytes_each_with_their_place_in_the_map() {
    let registry = Registry::new();
    let shards = registry.dependency("shards").register().unwrap();
    // Room for more than there are, so that no shard is full before all keys are in.
    let circuits = KeyedCircuits::with(&shards, Policy::default(), 4 * KEYS).unwrap();
    let mut service = CircuitBreakerLayer::keyed(circuits.clone(), |key: &u32| *key)
        .for_results()
        .layer(service_fn(|key: u32| -> Ready<Result<u32, Failed>> {
            ready(Ok(key))
        }));
    let allocated = measure(|| {
        for key in 0..KEYS {
            drop(service.call(key));
        }
    });
    assert_eq!(circuits.len(), KEYS as usize);
    let each = allocated.bytes_current / i64::from(KEYS);
    assert!(each <= MOST_BYTES, "{each} bytes each");
}
