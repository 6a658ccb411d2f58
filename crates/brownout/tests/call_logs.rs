//! What the log and the span of a single call learn.
//!
//! A test binary of its own, in which every test listens: tracing remembers of a log line's place that nobody listens to
//! it, if a thread without a subscriber comes there first while there is only one elsewhere.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use brownout::{
    Dependency, Registry,
    aggregate::{AggregateLayer, PartKey, PartOutcome, Parts},
    breaker::Circuit,
    core::{BoxError, Verdict},
    fallback::FallbackLayer,
    flag::{FlagLayer, Flags},
    registry::FeatureState,
};
use brownout_testing::LogCapture;
use tower::{Layer, Service, ServiceExt, service_fn};
use tracing::{
    Instrument, Level, Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber,
    span::{Id, Record},
};
use tracing_subscriber::layer::{Context, SubscriberExt};

/// Remembers what is recorded on spans.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> tracing_subscriber::Layer<S> for Spans {
    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(&mut Recorded(&self.0));
    }
}

struct Recorded<'a>(&'a Mutex<Vec<String>>);

impl Visit for Recorded<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.lock().unwrap().push(format!("{field}={value}"));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// What a call records on a span that has the field.
async fn recorded_by(call: impl Future) -> Vec<String> {
    let Spans(recorded) = Spans::default();
    let spans = Spans(Arc::clone(&recorded));
    async {
        let span = tracing::info_span!("request", degraded = tracing::field::Empty);
        call.instrument(span).await;
    }
    .with_subscriber(tracing_subscriber::registry().with(spans))
    .await;
    recorded.lock().unwrap().clone()
}

fn search() -> Dependency {
    Registry::new().dependency("search").register().unwrap()
}

fn up() -> impl Service<u32, Response = u32, Error = BoxError, Future: Send> + Clone {
    service_fn(|n: u32| async move { Ok::<_, BoxError>(n) })
}

fn down() -> impl Service<u32, Response = u32, Error = BoxError, Future: Send> + Clone {
    service_fn(|_: u32| async { Err::<u32, BoxError>("down".into()) })
}

#[tokio::test(start_paused = true)]
async fn a_fallback_records_its_tier_on_the_span_and_a_primary_nothing() {
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search())
        .last("popular", |_| async { 7 })
        .unwrap();
    let taken = recorded_by(layer.clone().layer(down()).oneshot(1)).await;
    assert_eq!(taken, ["degraded=popular"]);
    assert_eq!(recorded_by(layer.layer(up()).oneshot(1)).await, [""; 0]);
}

struct Recs;

impl PartKey for Recs {
    type Value = u32;
    const NAME: &'static str = "recs";
}

#[tokio::test(start_paused = true)]
async fn a_missing_part_is_recorded_on_the_span() {
    let page = AggregateLayer::for_results::<u32>()
        .optional(Recs, down())
        .build()
        .unwrap()
        .layer(service_fn(
            |(n, _): (u32, Parts<(PartOutcome<u32>,)>)| async move { Ok::<_, BoxError>(n) },
        ));
    assert_eq!(recorded_by(page.oneshot(1)).await, ["degraded=recs"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_stands_in_for_a_flagged_service_is_recorded_on_the_span() {
    let flag = Flags::new(&Registry::new()).flag("ml_recs").unwrap();
    flag.configure(FeatureState::Degraded);
    let service = FlagLayer::for_results(flag).degraded(up()).layer(up());
    assert_eq!(recorded_by(service.oneshot(1)).await, ["degraded=degraded"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_through_a_circuit_that_does_not_succeed_says_so_once_at_trace_and_no_higher() {
    let circuit = Circuit::new(&search());
    let logs = LogCapture::start();
    circuit.admit().unwrap().success();
    circuit.admit().unwrap().failure();
    circuit.admit().unwrap().settle(Verdict::Neutral);
    drop(circuit.admit().unwrap());
    for _ in 0..4 {
        circuit.admit().unwrap().failure();
    }
    for _ in 0..3 {
        assert!(circuit.admit().is_err());
    }
    let said = logs.find_all("call through a circuit");
    let outcomes: Vec<_> = said
        .iter()
        .map(|line| line.field("outcome").unwrap())
        .collect();
    let mut expected = vec!["failure", "neutral", "abandoned"];
    expected.extend(["failure"; 4]);
    expected.extend(["circuit-open"; 3]);
    assert_eq!(outcomes, expected);
    assert!(said.iter().all(|line| line.level == Level::TRACE));
    assert!(
        said.iter()
            .all(|line| line.field("dependency") == Some("search"))
    );
    assert_eq!(logs.find_all("circuit opened").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_transition_is_one_line_with_its_dependency_states_reason_and_generation() {
    let circuit = Circuit::new(&search());
    let logs = LogCapture::at(Level::INFO);
    for _ in 0..5 {
        circuit.admit().unwrap().failure();
    }
    tokio::time::advance(circuit.stats().retry_after.unwrap()).await;
    for _ in 0..2 {
        circuit.admit().unwrap().success();
    }
    let said: Vec<_> = logs
        .records()
        .into_iter()
        .filter(|line| line.message.starts_with("circuit"))
        .map(|line| {
            let field = |name| line.field(name).unwrap().to_owned();
            let words = ["dependency", "from", "to", "reason", "generation"].map(field);
            format!("{} {}", line.level, words.join(", "))
        })
        .collect();
    assert_eq!(
        said,
        [
            "WARN search, closed, open, consecutive failures, 1",
            "INFO search, open, half-open, open time over, 2",
            "INFO search, half-open, closed, probes succeeded, 3",
        ]
    );
}
