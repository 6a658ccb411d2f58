//! `GET /metrics`: what the layers have counted, as Prometheus reads it.
//!
//! It is on the operators' port. Its labels name dependencies and tiers, which are of use to whoever looks for a weak
//! spot, and customers have no use for them.

use std::{fmt, sync::Arc};

use axum::{extract::State, http::header, response::IntoResponse};
use brownout::{Registry, metrics::Metrics};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusRecorder};

/// Upper bounds of the times of calls, in seconds: around what the shop waits for others.
const BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Collects when it is asked, so that a page is never older than its scrape, and no task does it in between.
#[derive(Clone)]
pub(crate) struct Scrape(Arc<Shared>);

struct Shared {
    metrics: Metrics,
    /// The shop's own, and not the process's: a tour runs several shops at once.
    recorder: PrometheusRecorder,
}

impl Scrape {
    pub(crate) fn new(registry: &Registry) -> Result<Self, BuildError> {
        let times = Matcher::Full("brownout_call_duration_seconds".to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(times, &BUCKETS)?
            .build_recorder();
        Ok(Self(Arc::new(Shared {
            metrics: Metrics::new(registry),
            recorder,
        })))
    }

    fn page(&self) -> String {
        let Shared { metrics, recorder } = &*self.0;
        metrics::with_local_recorder(recorder, || metrics.collect());
        recorder.handle().render()
    }
}

pub(crate) async fn metrics(State(scrape): State<Scrape>) -> impl IntoResponse {
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, scrape.page())
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}
