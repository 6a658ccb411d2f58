//! Who is told when nothing is collected, and what becomes of collecting when telling fails. A test binary of its own:
//! tracing remembers for the whole process what is enabled.

#![cfg(feature = "metrics")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests panic on purpose, and where something is wrong"
)]
#![allow(dead_code, reason = "what the other tests of metrics share")]

#[path = "metrics/common.rs"]
mod common;

use std::{cell::Cell, time::Duration};

use brownout::{breaker::Circuit, metrics::Metrics};
use brownout_testing::LogCapture;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tracing::Level;

use crate::common::{Page, registry, search, succeed};

/// A recorder that panics at first.
struct Flaky {
    page: Page,
    panics: Cell<bool>,
}

impl Recorder for Flaky {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        assert!(!self.panics.replace(false), "the recorder is gone");
    }
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, about: &Metadata<'_>) -> Counter {
        self.page.register_counter(key, about)
    }
    fn register_gauge(&self, key: &Key, about: &Metadata<'_>) -> Gauge {
        self.page.register_gauge(key, about)
    }
    fn register_histogram(&self, key: &Key, about: &Metadata<'_>) -> Histogram {
        self.page.register_histogram(key, about)
    }
}

struct BrokenLog;

impl tracing::Subscriber for BrokenLog {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn event(&self, event: &tracing::Event<'_>) {
        assert!(
            !event.metadata().target().contains("metrics"),
            "the log is gone"
        );
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_runtime_without_timers_is_told_of_in_the_log() {
    let logs = LogCapture::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let collecting = runtime.block_on(async {
        let collecting = Metrics::install(&registry());
        tokio::task::yield_now().await;
        collecting
    });
    assert!(!collecting.is_running());
    assert_eq!(logs.count(Level::ERROR), 1);
}

#[tokio::test(start_paused = true)]
async fn collecting_goes_on_though_recorder_and_log_panic() {
    let recorder = Flaky {
        page: Page::default(),
        panics: Cell::new(true),
    };
    let registry = registry();
    let circuit = Circuit::new(&search(&registry));
    succeed(&circuit, 1);
    let _local = metrics::set_default_local_recorder(&recorder);
    let _broken = tracing::subscriber::set_default(BrokenLog);
    let collecting = Metrics::install(&registry);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!recorder.panics.get());
    assert!(collecting.is_running());
    let calls = "brownout_calls_total dependency=search layer=breaker outcome=success";
    assert_eq!(recorder.page.value(calls), Some(1.0));
}
