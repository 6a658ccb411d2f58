//! What the operators' page of metrics promises: that it moves with the outage.

use std::collections::BTreeMap;

use super::{answers::Answer, outages::Patient, promises::Promises};

const PATH: &str = "/metrics";

/// Series that any shop has which has seen a day like the tour's.
const NAMES: [&str; 11] = [
    "brownout_calls_total",
    "brownout_call_duration_seconds_bucket",
    "brownout_circuit_state",
    "brownout_circuit_transitions_total",
    "brownout_rejections_total",
    "brownout_fallback_total",
    "brownout_flag_state",
    "brownout_flag_changes_total",
    "brownout_parts_total",
    "brownout_dependency_status",
    "brownout_degradation_level",
];

/// A page of metrics: the value of each series.
#[derive(Debug)]
pub(super) struct Page(BTreeMap<String, f64>);

impl Page {
    pub(super) const PATH: &str = PATH;

    /// An answer that is no such page has no series.
    pub(super) fn read(answer: &Answer) -> Self {
        let text = String::from_utf8_lossy(&answer.body);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    /// The sum over all series of this name that have all of these labels.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{value}\""));
        let labels: Vec<_> = labels.collect();
        let of_name = |series: &str| {
            let rest = series.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        let series = self.0.iter().filter(|(series, _)| {
            of_name(series) && labels.iter().all(|label| series.contains(label))
        });
        series.map(|(_, value)| value).sum()
    }

    fn has(&self, name: &str) -> bool {
        self.0.keys().any(|series| series.starts_with(name))
    }
}

impl Promises {
    /// After all that the tour has done, everything is on it.
    pub(super) fn metrics_are_named(&mut self, page: &Page) {
        for name in NAMES {
            self.check(
                format!("after all that, {PATH} has {name}"),
                page.has(name),
                "it does not",
            );
        }
    }

    /// The page before the outage, and the one with the circuit open.
    pub(super) fn metrics_while_open(&mut self, who: &Patient, before: &Page, now: &Page) {
        let dependency = ("dependency", who.service.dependency());
        let open = now.sum("brownout_circuit_state", &[dependency, ("state", "open")]);
        self.check(
            format!("{who} has an open circuit on {PATH}"),
            is(open, 1.0),
            format!("it was {open}"),
        );
        let grown = |name, label| {
            let labels = [dependency, label];
            now.sum(name, &labels) - before.sum(name, &labels)
        };
        for (what, name, label) in [
            ("failures", "brownout_calls_total", ("outcome", "failure")),
            (
                "rejections",
                "brownout_rejections_total",
                ("cause", "circuit-open"),
            ),
            (
                "fallbacks",
                "brownout_fallback_total",
                ("outcome", "answered"),
            ),
        ] {
            let more = grown(name, label);
            self.check(
                format!("{who} adds {what} to {PATH}"),
                more >= 1.0,
                format!("it added {more}"),
            );
        }
    }

    pub(super) fn metrics_once_healed(&mut self, who: &Patient, now: &Page) {
        let dependency = ("dependency", who.service.dependency());
        let closed = now.sum("brownout_circuit_state", &[dependency, ("state", "closed")]);
        self.check(
            format!("{who}, once healed, has a closed circuit on {PATH}"),
            is(closed, 1.0),
            format!("it was {closed}"),
        );
    }
}

fn is(value: f64, expected: f64) -> bool {
    (value - expected).abs() < f64::EPSILON
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Bytes;

    use super::*;

    #[test]
    fn series_are_told_apart_by_name_and_labels() {
        let page = Page::read(&Answer {
            status: None,
            degraded: None,
            no_store: false,
            body: Bytes::from_static(
                b"# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"1\",y=\"3\"} 4\na{x=\"2\"} 5\nab{x=\"1\"} 6\nlevel 2\n",
            ),
            took: Duration::ZERO,
        });
        for (name, labels, value) in [
            ("a", &[("x", "1")][..], 7.0),
            ("a", &[("x", "1"), ("y", "3")], 4.0),
            ("a", &[], 12.0),
            ("level", &[], 2.0),
            ("b", &[], 0.0),
        ] {
            assert!(is(page.sum(name, labels), value), "{name} {labels:?}");
        }
        assert!(page.has("level") && !page.has("b"));
    }
}
