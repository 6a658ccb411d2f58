//! What a flag says to the log: each change once, and each evaluation to those who listen.
//!
//! A test binary of its own, in which every test listens: tracing remembers of a log line's place that nobody listens
//! to it, if a thread without a subscriber comes there first while there is only one elsewhere.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::time::Duration;

use brownout::{
    Registry,
    core::BoxError,
    flag::{Flag, FlagLayer, Flags},
    registry::{
        DegradationLevel::Emergency,
        FeatureState::{Degraded, Enabled},
        Order,
    },
};
use brownout_testing::{LogCapture, ProbeService};
use tokio::time::advance;
use tower::{Layer, Service, ServiceExt};
use tracing::Level;

const TTL: Duration = Duration::from_mins(5);
const RAMP: Duration = Duration::from_secs(30);

fn flag_in(registry: &Registry) -> Flag {
    let builder = Flags::new(registry).builder("ml_recs").jitter(0.0);
    builder.disable_at(Emergency).build().unwrap()
}

fn order() -> Order {
    Order::new("kim", "rehearsal", TTL)
}

fn fail(flag: &Flag, calls: u32) {
    for _ in 0..calls {
        flag.admit().unwrap().failure();
    }
}

fn service(flag: &Flag) -> impl Service<u32, Response = u32, Error = BoxError> + use<> {
    FlagLayer::for_results(flag.clone()).layer(ProbeService::new(Ok::<u32, BoxError>).0)
}

#[tokio::test(start_paused = true)]
async fn changes_are_logged_once_as_warnings_where_worse_and_else_as_information() {
    let registry = Registry::new();
    let flag = flag_in(&registry);
    let logs = LogCapture::at(Level::INFO);
    fail(&flag, 5);
    for _ in 0..10 {
        assert!(flag.admit().is_err());
    }
    advance(TTL + RAMP).await;
    assert_eq!(flag.state(), Enabled);
    let said = logs.find_all("flag changed");
    let said: Vec<_> = said
        .iter()
        .map(|record| {
            let field = |name| record.field(name).unwrap().to_owned();
            (
                record.level,
                field("flag"),
                field("from"),
                field("to"),
                field("reason"),
            )
        })
        .collect();
    let strings = |texts: [&str; 4]| texts.map(str::to_owned);
    let [flag_name, from, to, reason] = strings(["ml_recs", "enabled", "degraded", "errors"]);
    assert_eq!(said[0], (Level::WARN, flag_name, from, to, reason));
    let [flag_name, from, to, reason] = strings(["ml_recs", "degraded", "enabled", "expiry"]);
    assert_eq!(said[1], (Level::INFO, flag_name, from, to, reason));
    assert_eq!(said.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_evaluation_is_one_debug_event_in_the_words_of_opentelemetry() {
    let registry = Registry::new();
    let flag = flag_in(&registry);
    let mut service = service(&flag);
    let logs = LogCapture::at(Level::DEBUG);
    let mut evaluated = async |variant: &str, reason: &str| {
        logs.clear();
        let _ = service.ready().await.unwrap().call(1).await;
        let said = logs.find_all("feature_flag.evaluation");
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].level, Level::DEBUG);
        let field = |name| said[0].field(name);
        assert_eq!(field("feature_flag.key"), Some("ml_recs"));
        assert_eq!(field("feature_flag.result.variant"), Some(variant));
        assert_eq!(field("feature_flag.result.reason"), Some(reason));
        assert_eq!(field("feature_flag.provider.name"), Some("brownout"));
    };
    evaluated("enabled", "default").await;
    let id = registry
        .override_flag("ml_recs", Degraded, order())
        .unwrap();
    evaluated("degraded", "override").await;
    registry.release(id).unwrap();
    let id = registry.override_level(Emergency, order()).unwrap();
    evaluated("disabled", "level").await;
    registry.release(id).unwrap();
    flag.configure(Degraded);
    evaluated("degraded", "static").await;
    flag.configure(Enabled);
    fail(&flag, 5);
    evaluated("degraded", "errors").await;
    advance(TTL + RAMP).await;
    evaluated("enabled", "default").await;
}

#[tokio::test(start_paused = true)]
async fn nobody_who_does_not_listen_hears_of_evaluations() {
    let flag = flag_in(&Registry::new());
    let logs = LogCapture::at(Level::INFO);
    let mut service = service(&flag);
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 1);
    assert_eq!(logs.records(), []);
}

#[tokio::test(start_paused = true)]
async fn the_log_says_why_a_call_that_failed_did_not_go_on_to_the_degraded_service() {
    let log = LogCapture::at(Level::DEBUG);
    let down = || tower::service_fn(|_: u32| async { Err::<u32, BoxError>("down".into()) });
    let layer = FlagLayer::for_results(flag_in(&Registry::new()))
        .degraded(down())
        .fall_through();
    assert!(layer.layer(down()).oneshot(1).await.is_err());
    let said = log.find_all("degraded service not asked");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].field("flag"), Some("ml_recs"));
    assert_eq!(said[0].field("cause"), Some("failed"));
}
