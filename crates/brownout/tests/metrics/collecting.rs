//! Who collects, and when.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use brownout::{breaker::Circuit, metrics::Metrics};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::common::{Page, registry, search, succeed};

/// A recorder that panics when it is told something.
struct Broken;

impl Recorder for Broken {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        unreachable!("nobody must tell it anything")
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        unreachable!("nobody must tell it anything")
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        unreachable!("nobody must tell it anything")
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_panics_stops_no_later_collection() {
    let (registry, page) = (registry(), Page::default());
    let circuit = Circuit::new(&search(&registry));
    let metrics = Metrics::new(&registry);
    succeed(&circuit, 2);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        metrics::with_local_recorder(&Broken, || metrics.collect());
    }));
    assert!(panicked.is_err());
    assert!(page.collect(&metrics) > 0);
}

#[tokio::test(start_paused = true)]
async fn the_task_collects_at_once_and_every_second_until_it_is_dropped() {
    let page = Page::default();
    let registry = registry();
    let circuit = Circuit::new(&search(&registry));
    let seen = || {
        page.values("brownout_calls_total dependency=search layer=breaker outcome=success")
            .len()
    };
    // On a current-thread runtime the task runs on this thread, where the recorder is.
    let _local = metrics::set_default_local_recorder(&page);
    let collecting = Metrics::install(&registry);
    assert!(collecting.is_running());
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(seen(), 3);
    succeed(&circuit, 1);
    drop(collecting);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(seen(), 3);
}

#[test]
fn without_a_runtime_nothing_is_collected_and_nothing_panics() {
    let collecting = Metrics::install(&registry());
    assert!(!collecting.is_running());
    assert!(Metrics::install_every(&registry(), Duration::ZERO).is_err());
}
