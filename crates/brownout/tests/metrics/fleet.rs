//! What is said of a fleet's store.

use std::time::Duration;

use brownout::{
    metrics::Metrics,
    registry::fleet::{FleetSettings, MemoryStore, ReplicaId, StoreErrorKind, StoreOp},
};
use brownout_testing::fleet::{Fault, FaultyStore};
use tokio::time::sleep;

use crate::common::{Page, registry};

const AGE: &str = "brownout_store_sync_age_seconds";

#[tokio::test(start_paused = true)]
async fn the_age_grows_while_the_store_is_away_and_errors_are_counted_by_operation() {
    let (registry, page) = (registry(), Page::default());
    let metrics = Metrics::new(&registry);
    page.collect(&metrics);
    assert_eq!(page.value(AGE), None, "outside a fleet there is no store");

    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let one = FleetSettings::new(ReplicaId::new("one").unwrap());
    let guard = registry.join_fleet(store, one).unwrap();
    sleep(Duration::from_secs(100)).await;
    page.collect(&metrics);
    let age = page.value(AGE).unwrap();
    assert!(age < 10.0, "{age}");
    for op in StoreOp::ALL {
        let series = format!("brownout_store_errors_total op={op}");
        assert_eq!(page.value(&series), Some(0.0), "{series}");
    }

    faults.all(Fault::Fail(StoreErrorKind::Unreachable));
    sleep(Duration::from_secs(100)).await;
    page.collect(&metrics);
    let age = page.value(AGE).unwrap();
    assert!((100.0..110.0).contains(&age), "{age}");
    let subscribes = page.value("brownout_store_errors_total op=subscribe");
    assert!(subscribes > Some(3.0), "{subscribes:?}");
    drop(guard);
    page.collect(&metrics);
    let after = page.value("brownout_store_errors_total op=subscribe");
    assert!(after >= subscribes, "totals do not fall");
}
