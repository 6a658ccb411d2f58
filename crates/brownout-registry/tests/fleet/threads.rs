//! Many replicas on several threads, on the real clock: the paused one has a single thread.

use std::sync::Arc;
use std::time::Duration;

use brownout_registry::fleet::{FleetError, MemoryStore};
use brownout_registry::{FeatureState, FleetOverrideId, Target};
use tokio::time::{Instant, sleep};

use super::common::{Replica, target};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn decisions_of_many_threads_arrive_everywhere_in_the_same_order() {
    const REPLICAS: u64 = 8;
    const DECISIONS: usize = 40;
    let server = MemoryStore::new();
    let replicas: Vec<_> = (0..REPLICAS)
        .map(|number| Arc::new(Replica::join(&server, number)))
        .collect();
    // All must have reached the store before anybody decides; how long that takes is up to the threads.
    let begun = Instant::now();
    while !replicas.iter().all(|replica| replica.fleet.is_in_touch()) {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "nobody hears the store"
        );
        sleep(Duration::from_millis(5)).await;
    }
    let deciding: Vec<_> = replicas
        .iter()
        .map(|replica| {
            let replica = Arc::clone(replica);
            tokio::spawn(async move {
                let mut taken = 0;
                for n in 0..DECISIONS {
                    let flag = format!("flag-{}", n % 10);
                    let state = FeatureState::ALL[n % 3];
                    match replica.set(&flag, state, 600).await {
                        Ok(id) if n % 2 == 0 => {
                            taken += 1;
                            // Somebody else may decide at the same moment.
                            drop(replica.fleet.release(target(&flag), id).await);
                        }
                        Ok(_) => taken += 1,
                        Err(FleetError::Stale { .. } | FleetError::Invalid(_)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                taken
            })
        })
        .collect();
    let mut taken = 0;
    for one in deciding {
        taken += one.await.unwrap();
    }
    assert!(taken > 0, "somebody always wins");
    let begun = Instant::now();
    while replicas
        .iter()
        .any(|replica| shown(replica) != shown(&replicas[0]))
    {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "they do not agree"
        );
        sleep(Duration::from_millis(5)).await;
    }
}

/// What is held, and what is in force.
fn shown(replica: &Replica) -> (Vec<(Target, FleetOverrideId)>, Vec<Option<FeatureState>>) {
    let imposed = |flag: usize| replica.imposed(&format!("flag-{flag}"));
    (replica.held(), (0..10).map(imposed).collect())
}
