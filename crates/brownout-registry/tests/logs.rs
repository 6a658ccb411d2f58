//! What is written to the log. The only test of its binary: tracing remembers what is enabled for a whole process, so that
//! tests beside it, which log to nobody, would get in its way.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brownout_registry::{Registry, Report, ReporterKind};

/// Writes each record as `LEVEL message field=value …`.
#[derive(Default)]
struct Capture(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Capture {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("brownout")
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    write!(self.0, " {value:?}").unwrap();
                } else {
                    write!(self.0, " {field}={value:?}").unwrap();
                }
            }
        }
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn transitions_are_logged_once_and_details_only_at_debug() {
    let capture = Capture::default();
    let lines = Arc::clone(&capture.0);
    let _guard = tracing::subscriber::set_default(capture);
    let registry = Registry::builder().dwell(Duration::ZERO).build().unwrap();
    let search = registry.dependency("search").register().unwrap();
    let reporter = search.reporter(ReporterKind::Code, "client");
    for _ in 0..10 {
        reporter.report(Report::unhealthy("gone").detail("10.0.0.7 refused"));
    }
    reporter.report(Report::healthy());
    let expected = [
        "DEBUG dependency registered dependency=search criticality=important",
        "WARN dependency status changed dependency=search from=healthy to=unhealthy reason=\"gone\"",
        "WARN system health changed from=healthy to=degraded",
        "WARN degradation level changed from=full to=reduced",
        "DEBUG dependency report dependency=search reporter=client detail=10.0.0.7 refused",
        "INFO dependency status changed dependency=search from=unhealthy to=healthy",
        "INFO system health changed from=degraded to=healthy",
        "INFO degradation level changed from=reduced to=full",
    ];
    assert_eq!(*lines.lock().unwrap(), expected);
}
