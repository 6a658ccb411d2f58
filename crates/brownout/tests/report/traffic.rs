//! What calls say of their dependency.

use std::time::Duration;

use brownout::{
    Dependency, Registry,
    core::{Settle, Verdict},
    registry::{DegradationLevel, EventKind, Status},
    report::{ReportLayer, Traffic, TrafficBuilder},
};
use brownout_testing::{
    Behaviour, ProbeService, TestError,
    contract::{ContractProbe, check_layer_contract},
};
use tokio::time::{advance, timeout};
use tower::{BoxError, Layer, Service, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);

fn dependency() -> Dependency {
    Registry::new().dependency("search").register().unwrap()
}

fn say(traffic: &Traffic, verdict: Verdict, times: u32) {
    for _ in 0..times {
        traffic.begin().settle(verdict);
    }
}

#[tokio::test(start_paused = true)]
async fn the_share_of_failures_decides_from_20_calls_on() {
    let table = [
        (0, 20, Status::Healthy),
        (1, 19, Status::Healthy),
        (2, 18, Status::Degraded),
        (9, 11, Status::Degraded),
        (10, 10, Status::Unhealthy),
        (20, 0, Status::Unhealthy),
        (19, 0, Status::Healthy),
        (10, 9, Status::Healthy),
        (10, 200, Status::Healthy),
    ];
    for (failures, successes, status) in table {
        let dependency = dependency();
        let traffic = Traffic::new(&dependency);
        // Failures last, for it is they that are looked at at once.
        say(&traffic, Verdict::Success, successes);
        say(&traffic, Verdict::Failure, failures);
        assert_eq!(
            dependency.status(),
            status,
            "{failures} of {}",
            failures + successes
        );
        let stats = traffic.stats();
        assert_eq!(
            (stats.calls, stats.failures),
            (u64::from(failures + successes), u64::from(failures))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_neutral_or_dropped_counts_for_nothing() {
    let dependency = dependency();
    let traffic = Traffic::new(&dependency);
    say(&traffic, Verdict::Neutral, 100);
    (0..100).for_each(|_| drop(traffic.begin()));
    assert_eq!(traffic.stats().calls, 0);
    say(&traffic, Verdict::Trip { open_for: SECOND }, 20);
    assert_eq!(dependency.status(), Status::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn what_is_bad_is_said_again_while_it_lasts_and_taken_back_when_it_ends() {
    let dependency = dependency();
    let traffic = Traffic::new(&dependency);
    for _ in 0..60 {
        say(&traffic, Verdict::Failure, 20);
        advance(SECOND).await;
        assert_eq!(dependency.status(), Status::Unhealthy);
    }
    let mut seen = Vec::new();
    for _ in 0..20 {
        say(&traffic, Verdict::Success, 20);
        advance(SECOND).await;
        if seen.last() != Some(&dependency.status()) {
            seen.push(dependency.status());
        }
    }
    assert_eq!(seen, [Status::Unhealthy, Status::Degraded, Status::Healthy]);
    let events = dependency.registry().recent_events();
    let changes = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::StatusChanged { .. }));
    assert_eq!(changes.count(), 3, "nothing flaps");
}

#[tokio::test(start_paused = true)]
async fn nothing_latches_without_traffic_or_with_little() {
    let dependency = dependency();
    let traffic = Traffic::new(&dependency);
    say(&traffic, Verdict::Failure, 20);
    assert_eq!(dependency.registry().level(), DegradationLevel::Reduced);
    advance(10 * SECOND).await;
    // Untested since it failed: nobody steps back any more.
    assert_eq!(dependency.status(), Status::Degraded);
    advance(15 * SECOND).await;
    assert_eq!(dependency.registry().level(), DegradationLevel::Full);
    say(&traffic, Verdict::Success, 1);
    assert_eq!(dependency.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn failures_that_go_on_as_before_disturb_nobody() {
    for (failures, status) in [(3, Status::Degraded), (10, Status::Unhealthy)] {
        let dependency = dependency();
        let traffic = Traffic::new(&dependency);
        let watched = dependency.registry().watch();
        let ten = || {
            say(&traffic, Verdict::Success, 10 - failures);
            say(&traffic, Verdict::Failure, failures);
        };
        (0..10).for_each(|_| ten());
        assert_eq!(dependency.status(), status);
        let before = watched.current().revision;
        (0..100).for_each(|_| ten());
        assert_eq!(watched.current().revision, before, "{status:?}");
        // They are said again in time, though.
        for _ in 0..30 {
            advance(SECOND).await;
            ten();
            assert_eq!(dependency.status(), status);
        }
        assert!(watched.current().revision <= before + 30, "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_fail_after_a_pause_count_at_once() {
    for (successes, failures, status) in [(0, 20, Status::Unhealthy), (17, 3, Status::Degraded)] {
        let dependency = dependency();
        let traffic = Traffic::new(&dependency);
        for _ in 0..2 {
            say(&traffic, Verdict::Success, successes);
            say(&traffic, Verdict::Failure, failures);
            assert_eq!(dependency.status(), status);
            // What was said has expired.
            advance(10 * SECOND).await;
            assert_ne!(dependency.status(), status);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_withdraws_what_it_said() {
    let dependency = dependency();
    let traffic = Traffic::new(&dependency);
    say(&traffic, Verdict::Failure, 20);
    drop(traffic.clone());
    assert_eq!(dependency.status(), Status::Unhealthy);
    drop(traffic);
    assert_eq!(dependency.status(), Status::Healthy);
}

async fn slow_call(traffic: &Traffic, took: Duration) {
    let ticket = traffic.begin();
    advance(took).await;
    ticket.settle(Verdict::Success);
}

#[tokio::test(start_paused = true)]
async fn slow_calls_degrade_where_the_user_says_what_is_slow() {
    let dependency = dependency();
    let builder = Traffic::builder(&dependency).min_calls(4);
    let patient = builder.clone().build().unwrap();
    let traffic = builder.slow_calls(SECOND, 0.5).build().unwrap();
    for (took, status) in [
        (SECOND, Status::Healthy),
        (SECOND, Status::Healthy),
        (2 * SECOND, Status::Healthy),
        (2 * SECOND, Status::Degraded),
    ] {
        slow_call(&traffic, took).await;
        slow_call(&patient, Duration::ZERO).await;
        assert_eq!(dependency.status(), status, "{took:?}");
    }
    let stats = traffic.stats();
    assert_eq!((stats.calls, stats.slow), (4, 2));
    assert_eq!(stats.mean_latency, Some(SECOND * 3 / 2));
    drop(traffic);
    assert_eq!(dependency.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn latency_runs_to_the_head() {
    let traffic = Traffic::new(&dependency());
    let mut ticket = traffic.begin();
    advance(SECOND).await;
    ticket.head(Verdict::Success);
    let mut ticket = ticket.take();
    advance(5 * SECOND).await;
    Settle::settle(&mut ticket, Verdict::Success);
    // Only the first counts.
    ticket.failure();
    let stats = traffic.stats();
    assert_eq!(
        (stats.calls, stats.failures, stats.mean_latency),
        (1, 0, Some(SECOND))
    );
}

#[tokio::test(start_paused = true)]
async fn readiness_errors_and_panics_fail_and_cancelled_calls_do_not_count() {
    let traffic = Traffic::new(&dependency());
    let (inner, probe) = ProbeService::<u32, u32, TestError>::new(Ok);
    let layer = ReportLayer::with(traffic.clone()).for_results();
    let call = || tokio::spawn(layer.layer(inner.clone()).oneshot(1));
    assert!(call().await.unwrap().is_ok());
    probe.script([
        Behaviour::panic_in_call(),
        Behaviour::panic_in_poll(),
        Behaviour::hang(),
    ]);
    assert!(call().await.is_err());
    assert!(call().await.is_err());
    assert!(
        timeout(SECOND, layer.layer(inner.clone()).oneshot(1))
            .await
            .is_err()
    );
    probe.fail_readiness(|| TestError::new("gone"));
    assert!(call().await.unwrap().is_err());
    let stats = traffic.stats();
    assert_eq!((stats.calls, stats.failures), (4, 3));
    probe.assert_contract_kept();
}

#[cfg(feature = "http")]
#[tokio::test(start_paused = true)]
async fn http_calls_are_judged_by_status_and_body() {
    use brownout_testing::{MockBody, body};
    use http::{Request, Response};
    let traffic = Traffic::new(&dependency());
    let layer = ReportLayer::with(traffic.clone()).for_http();
    let call = async |status: u16, body: fn() -> MockBody| {
        let service = layer.layer(tower::service_fn(move |_: Request<()>| async move {
            let answer = Response::builder().status(status);
            Ok::<_, std::convert::Infallible>(answer.body(body()).unwrap())
        }));
        let answer = service.oneshot(Request::new(())).await.unwrap();
        let mut body = std::pin::pin!(answer.into_body());
        while let Some(Ok(_)) =
            std::future::poll_fn(|cx| http_body::Body::poll_frame(body.as_mut(), cx)).await
        {
        }
        let stats = traffic.stats();
        (stats.calls, stats.failures)
    };
    assert_eq!(call(200, || MockBody::full("whole")).await, (1, 0));
    assert_eq!(call(404, MockBody::empty).await, (1, 0));
    assert_eq!(call(500, MockBody::empty).await, (2, 1));
    let broken = || MockBody::new([body::data("half"), body::error(TestError::new("reset"))]);
    assert_eq!(call(200, broken).await, (3, 2));
}

#[tokio::test(start_paused = true)]
async fn the_report_layer_keeps_the_contract() {
    check_layer_contract(|inner: ContractProbe| {
        ReportLayer::new(&dependency()).for_results().layer(inner)
    })
    .await;
}

#[tokio::test]
async fn all_services_of_a_layer_count_together() {
    let dependency = dependency();
    let layer =
        ReportLayer::new(&dependency).classify(|_: Result<&u32, &BoxError>| Verdict::Failure);
    for n in 0..20 {
        let mut service = layer.layer(tower::service_fn(
            |n: u32| async move { Ok::<_, BoxError>(n) },
        ));
        assert_eq!(service.ready().await.unwrap().call(n).await.unwrap(), n);
    }
    assert_eq!(dependency.status(), Status::Unhealthy);
}

#[test]
fn a_setting_out_of_range_is_refused_by_name() {
    type Set = fn(TrafficBuilder) -> TrafficBuilder;
    let table: [(&str, Set); 8] = [
        ("window", |b| b.window(Duration::ZERO)),
        ("window", |b| b.window(SECOND / 2)),
        ("min_calls", |b| b.min_calls(0)),
        ("degraded_at", |b| b.degraded_at(0.0)),
        ("degraded_at", |b| b.degraded_at(0.6)),
        ("unhealthy_at", |b| b.unhealthy_at(f64::NAN)),
        ("slow_calls", |b| b.slow_calls(SECOND, 1.5)),
        ("slow_calls", |b| {
            b.slow_calls(Duration::ZERO, 0.5).min_calls(0)
        }),
    ];
    for (field, set) in table {
        let error = set(Traffic::builder(&dependency())).build().unwrap_err();
        assert_eq!(error.field(), field);
    }
    assert!(
        Traffic::builder(&dependency())
            .degraded_at(1.0)
            .unhealthy_at(1.0)
            .build()
            .is_ok()
    );
}
