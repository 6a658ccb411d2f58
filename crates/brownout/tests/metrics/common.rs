//! A recorder that remembers what it was told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use brownout::{Dependency, Registry, breaker::Circuit, metrics::Metrics};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// The values of all series, as a page would show them; of a histogram, every value with its number.
#[derive(Clone, Default)]
pub(crate) struct Page(Arc<Mutex<BTreeMap<String, Vec<f64>>>>);

struct Series {
    page: Page,
    name: String,
}

impl Page {
    /// Collects, and says how many series there are.
    pub(crate) fn collect(&self, metrics: &Metrics) -> usize {
        metrics::with_local_recorder(self, || metrics.collect());
        self.0.lock().unwrap().len()
    }

    /// The last value of the series whose name and labels are these.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        self.values(series).last().copied()
    }

    pub(crate) fn values(&self, series: &str) -> Vec<f64> {
        let page = self.0.lock().unwrap();
        page.get(series).cloned().unwrap_or_default()
    }

    fn series(&self, key: &Key) -> Arc<Series> {
        let labels = key.labels();
        let words = labels.map(|label| [label.key(), label.value()].join("="));
        let words: Vec<_> = std::iter::once(key.name().to_owned())
            .chain(words)
            .collect();
        let name = words.join(" ");
        Arc::new(Series {
            page: self.clone(),
            name,
        })
    }
}

impl Series {
    fn push(&self, value: f64) {
        let mut page = self.page.0.lock().unwrap();
        page.entry(self.name.clone()).or_default().push(value);
    }
}

#[allow(clippy::cast_precision_loss, reason = "tests count to a few thousand")]
impl CounterFn for Series {
    fn increment(&self, _: u64) {
        unreachable!("totals are handed over as they are");
    }
    fn absolute(&self, value: u64) {
        self.push(value as f64);
    }
}

impl GaugeFn for Series {
    fn increment(&self, _: f64) {
        unreachable!("gauges are set");
    }
    fn decrement(&self, _: f64) {
        unreachable!("gauges are set");
    }
    fn set(&self, value: f64) {
        self.push(value);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.push(value);
    }
}

impl Recorder for Page {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

pub(crate) fn registry() -> Registry {
    Registry::builder().seed(7).build().unwrap()
}

pub(crate) fn search(registry: &Registry) -> Dependency {
    registry.dependency("search").register().unwrap()
}

pub(crate) fn succeed(circuit: &Circuit, calls: u32) {
    for _ in 0..calls {
        circuit.admit().unwrap().success();
    }
}

pub(crate) fn fail(circuit: &Circuit, calls: u32) {
    for _ in 0..calls {
        circuit.admit().unwrap().failure();
    }
}
