//! What the health paths say of a fleet's store.

use std::time::Duration;

use brownout::{
    Criticality::Critical,
    registry::fleet::{FleetSettings, MemoryStore, ReplicaId, StoreErrorKind},
    report::HealthLayer,
};
use brownout_testing::fleet::{Fault, FaultyStore};
use tokio::time::sleep;

use crate::common::{dependency, get, registry};

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_a_warning_with_the_age_of_what_is_known_and_holds_back_nothing() {
    let registry = registry();
    let ledger = dependency(&registry, "ledger", Critical);
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let one = FleetSettings::new(ReplicaId::new("one").unwrap());
    let _in_fleet = registry.join_fleet(store, one).unwrap();
    sleep(Duration::from_mins(1)).await;
    let strangers = HealthLayer::new(&registry).ready_when(&ledger);
    let known = HealthLayer::new(&registry).authorise(|_| true);
    assert_eq!(get(&strangers, "/health").await.json()["status"], "pass");

    faults.all(Fault::Fail(StoreErrorKind::Unreachable));
    sleep(Duration::from_mins(1)).await;
    let seen = get(&strangers, "/health").await;
    assert_eq!(
        (seen.status, seen.text.as_str()),
        (200, r#"{"status":"warn"}"#)
    );
    for path in ["/livez", "/readyz", "/startupz"] {
        assert_eq!(
            get(&strangers, path).await.json()["status"],
            "pass",
            "{path}"
        );
    }
    let store = get(&known, "/health").await.json()["checks"]["fleet-store"][0].take();
    let said = store["output"].as_str().unwrap();
    assert_eq!(
        (&store["status"], &store["critical"]),
        (&"warn".into(), &false.into())
    );
    assert!(
        said.starts_with("unreachable; not synchronised for "),
        "{said}"
    );
}
