//! What a Prometheus server scrapes: names, labels and types are API, and here is the page that they make.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{collections::BTreeMap, time::Duration};

use brownout::{
    Registry,
    aggregate::{AggregateLayer, PartKey, PartOutcome, Parts},
    breaker::{Circuit, CircuitBreakerLayer, KeyedCircuits, Policy},
    core::BoxError,
    fallback::FallbackLayer,
    flag::{FlagLayer, Flags},
    metrics::Metrics,
    registry::{CircuitMode, DegradationLevel, FeatureState, Order},
};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tower::{Layer, Service, ServiceExt, service_fn};

/// A recorder of this test's own, and the page that it serves.
struct Exporter {
    recorder: PrometheusRecorder,
    page: PrometheusHandle,
}

impl Exporter {
    fn new() -> Self {
        let duration = Matcher::Full("brownout_call_duration_seconds".to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(duration, &[0.01, 0.1, 1.0])
            .unwrap()
            .build_recorder();
        let page = recorder.handle();
        Self { recorder, page }
    }

    /// The page after a collection, line by line.
    fn scrape(&self, collecting: &Metrics) -> Vec<String> {
        metrics::with_local_recorder(&self.recorder, || collecting.collect());
        self.page.render().lines().map(str::to_owned).collect()
    }
}

/// The values of the page by series.
fn series(page: &[String]) -> BTreeMap<&str, &str> {
    page.iter()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.rsplit_once(' ').unwrap())
        .collect()
}

fn order() -> Order {
    Order::new("kim", "rehearsal", Duration::from_mins(10))
}

struct Profile;
struct Recs;

impl PartKey for Profile {
    type Value = u32;
    const NAME: &'static str = "profile";
}

impl PartKey for Recs {
    type Value = u32;
    const NAME: &'static str = "recs";
}

fn down() -> impl Service<u32, Response = u32, Error = BoxError, Future: Send> + Clone + Send {
    service_fn(|_: u32| async { Err::<u32, BoxError>("down".into()) })
}

fn up() -> impl Service<u32, Response = u32, Error = BoxError, Future: Send> + Clone + Send {
    service_fn(|n: u32| async move { Ok::<_, BoxError>(n) })
}

/// Something of everything happens.
async fn an_incident(registry: &Registry, flags: &Flags) -> impl Sized + use<> {
    let search = registry.dependency("search").register().unwrap();
    let circuit = Circuit::new(&search);
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_results();
    assert_eq!(layer.layer(up()).oneshot(1).await.unwrap(), 1);
    let chain = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .tier_fn("cache", |_| async { Err::<u32, BoxError>("empty".into()) })
        .last("static", |_| async { 7 })
        .unwrap();
    let service = chain.layer(layer.layer(down()));
    for _ in 0..7 {
        assert_eq!(service.clone().oneshot(1).await.unwrap(), 7);
    }
    let flag = flags.flag("ml_recs").unwrap();
    let order_id = registry.override_flag("ml_recs", FeatureState::Disabled, order());
    let flagged = FlagLayer::for_results(flag).layer(up());
    assert!(flagged.oneshot(1).await.is_err());
    registry.release(order_id.unwrap()).unwrap();
    let page = AggregateLayer::for_results::<u32>()
        .part(Profile, up())
        .optional(Recs, down())
        .named(registry, "dashboard")
        .build()
        .unwrap()
        .layer(service_fn(
            |(n, _): (u32, Parts<(u32, PartOutcome<u32>)>)| async move { Ok::<_, BoxError>(n) },
        ));
    assert_eq!(page.clone().oneshot(1).await.unwrap(), 1);
    (circuit, chain, page)
}

#[tokio::test(start_paused = true)]
async fn the_scraped_page_has_these_names_labels_and_types() {
    let registry = Registry::builder().seed(7).build().unwrap();
    let exporter = Exporter::new();
    let collecting = Metrics::new(&registry);
    let flags = Flags::new(&registry);
    let _kept = an_incident(&registry, &flags).await;
    registry
        .override_level(DegradationLevel::Minimal, order())
        .unwrap();
    let page = exporter.scrape(&collecting);

    let mut types: Vec<_> = page
        .iter()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    types.sort_unstable();
    assert_eq!(
        types,
        [
            "brownout_call_duration_seconds histogram",
            "brownout_calls_total counter",
            "brownout_circuit_state gauge",
            "brownout_circuit_transitions_total counter",
            "brownout_degradation_level gauge",
            "brownout_dependency_status gauge",
            "brownout_fallback_total counter",
            "brownout_flag_changes_total counter",
            "brownout_flag_state gauge",
            "brownout_override_active gauge",
            "brownout_parts_total counter",
            "brownout_rejections_total counter",
        ]
    );
    let said: Vec<_> = series(&page)
        .into_iter()
        .map(|(series, value)| format!("{series} {value}"))
        .collect();
    assert_eq!(said, EXPECTED.lines().collect::<Vec<_>>());
}

const EXPECTED: &str = r#"brownout_call_duration_seconds_bucket{dependency="search",layer="breaker",le="+Inf"} 6
brownout_call_duration_seconds_bucket{dependency="search",layer="breaker",le="0.01"} 6
brownout_call_duration_seconds_bucket{dependency="search",layer="breaker",le="0.1"} 6
brownout_call_duration_seconds_bucket{dependency="search",layer="breaker",le="1"} 6
brownout_call_duration_seconds_count{dependency="search",layer="breaker"} 6
brownout_call_duration_seconds_sum{dependency="search",layer="breaker"} 0.000003072
brownout_calls_total{dependency="ml_recs",layer="flag",outcome="abandoned"} 0
brownout_calls_total{dependency="ml_recs",layer="flag",outcome="diverted"} 1
brownout_calls_total{dependency="ml_recs",layer="flag",outcome="failure"} 0
brownout_calls_total{dependency="ml_recs",layer="flag",outcome="neutral"} 0
brownout_calls_total{dependency="ml_recs",layer="flag",outcome="success"} 0
brownout_calls_total{dependency="search",layer="breaker",outcome="abandoned"} 0
brownout_calls_total{dependency="search",layer="breaker",outcome="failure"} 5
brownout_calls_total{dependency="search",layer="breaker",outcome="neutral"} 0
brownout_calls_total{dependency="search",layer="breaker",outcome="rejected"} 2
brownout_calls_total{dependency="search",layer="breaker",outcome="success"} 1
brownout_circuit_state{dependency="search",state="closed"} 0
brownout_circuit_state{dependency="search",state="half-open"} 0
brownout_circuit_state{dependency="search",state="open"} 1
brownout_circuit_transitions_total{dependency="search",from="closed",to="open",cause="consecutive failures"} 1
brownout_degradation_level 2
brownout_dependency_status{dependency="search",status="degraded"} 0
brownout_dependency_status{dependency="search",status="healthy"} 0
brownout_dependency_status{dependency="search",status="unhealthy"} 1
brownout_dependency_status{dependency="search",status="unknown"} 0
brownout_fallback_total{dependency="search",tier="cache",reason="failed",outcome="failed"} 7
brownout_fallback_total{dependency="search",tier="static",reason="circuit-open",outcome="answered"} 2
brownout_fallback_total{dependency="search",tier="static",reason="failed",outcome="answered"} 5
brownout_flag_changes_total{flag="ml_recs",cause="configured"} 0
brownout_flag_changes_total{flag="ml_recs",cause="errors"} 0
brownout_flag_changes_total{flag="ml_recs",cause="expiry"} 0
brownout_flag_changes_total{flag="ml_recs",cause="fleet"} 0
brownout_flag_changes_total{flag="ml_recs",cause="level"} 0
brownout_flag_changes_total{flag="ml_recs",cause="override"} 2
brownout_flag_state{flag="ml_recs",state="degraded"} 0
brownout_flag_state{flag="ml_recs",state="disabled"} 0
brownout_flag_state{flag="ml_recs",state="enabled"} 1
brownout_override_active{target="circuit"} 0
brownout_override_active{target="flag"} 0
brownout_override_active{target="level"} 1
brownout_override_active{target="status"} 0
brownout_parts_total{aggregate="dashboard",part="profile",outcome="answered"} 1
brownout_parts_total{aggregate="dashboard",part="profile",outcome="fallback"} 0
brownout_parts_total{aggregate="dashboard",part="profile",outcome="missing"} 0
brownout_parts_total{aggregate="dashboard",part="recs",outcome="answered"} 0
brownout_parts_total{aggregate="dashboard",part="recs",outcome="fallback"} 0
brownout_parts_total{aggregate="dashboard",part="recs",outcome="missing"} 1
brownout_rejections_total{dependency="ml_recs",cause="flag-degraded"} 0
brownout_rejections_total{dependency="ml_recs",cause="flag-disabled"} 1
brownout_rejections_total{dependency="search",cause="circuit-forced-open"} 0
brownout_rejections_total{dependency="search",cause="circuit-half-open"} 0
brownout_rejections_total{dependency="search",cause="circuit-open"} 2
brownout_rejections_total{dependency="search",cause="circuit-ramping"} 0
brownout_rejections_total{dependency="search",cause="not-ready"} 0"#;

#[tokio::test(start_paused = true)]
async fn a_keyed_family_has_the_series_of_one_circuit_however_many_keys_there_are() {
    let registry = Registry::builder().seed(7).build().unwrap();
    let shards = registry.dependency("shards").register().unwrap();
    let exporter = Exporter::new();
    let collecting = Metrics::new(&registry);
    let circuits = KeyedCircuits::with(&shards, Policy::default(), 16).unwrap();
    let layer = CircuitBreakerLayer::keyed(circuits, |n: &u32| *n).for_results();
    let mut service = layer.layer(up());
    let mut lengths = Vec::new();
    for keys in [1_u32, 1_000] {
        for key in 0..keys {
            service.ready().await.unwrap().call(key).await.unwrap();
        }
        lengths.push(exporter.scrape(&collecting).len());
    }
    assert_eq!(lengths[0], lengths[1]);
    let page = exporter.scrape(&collecting);
    let success = r#"brownout_calls_total{dependency="shards",layer="breaker",outcome="success"}"#;
    // Those whose circuits have made room for others are still counted.
    assert_eq!(series(&page)[success], "1001");
    let took = r#"brownout_call_duration_seconds_count{dependency="shards",layer="breaker"}"#;
    assert_eq!(series(&page)[took], "1001");
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_is_forced_open_says_why_it_refuses() {
    let registry = Registry::builder().seed(7).build().unwrap();
    let search = registry.dependency("search").register().unwrap();
    let exporter = Exporter::new();
    let collecting = Metrics::new(&registry);
    let circuit = Circuit::new(&search);
    search
        .override_circuit(CircuitMode::ForcedOpen, order())
        .unwrap();
    let mut service = CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .layer(up());
    for _ in 0..3 {
        assert!(service.ready().await.unwrap().call(1).await.is_err());
    }
    assert!(circuit.admit().is_err());
    let page = exporter.scrape(&collecting);
    let page = series(&page);
    let rejections = |cause: &str| {
        let series = format!(r#"brownout_rejections_total{{dependency="search",cause="{cause}"}}"#);
        page[&*series]
    };
    assert_eq!(rejections("circuit-forced-open"), "4");
    assert_eq!(rejections("circuit-open"), "0");
    assert_eq!(page[r#"brownout_override_active{target="circuit"}"#], "1");
}
