//! Probes and the driver that runs them.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]
#![allow(clippy::panic, reason = "a probe panics on purpose")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brownout_registry::{
    Dependency, EventKind, Order, Probe, ProbeError, ProbeView, Received, Registry, Status,
};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// A check that passes or fails as it is told, and counts its runs.
#[derive(Clone, Default)]
struct Check {
    fails: Arc<AtomicBool>,
    runs: Arc<AtomicUsize>,
}

impl Check {
    fn attach(&self, dependency: &Dependency) {
        let check = self.clone();
        let run = move || {
            check.runs.fetch_add(1, Ordering::Relaxed);
            let fails = check.fails.load(Ordering::Relaxed);
            async move {
                if fails {
                    Err("10.0.0.7 refused")
                } else {
                    Ok(())
                }
            }
        };
        dependency
            .probe(Probe::new(run).interval(SECOND * 10))
            .unwrap();
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }

    fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    /// Waits until it has run so often and the result is in.
    async fn ran(&self, runs: usize) {
        while self.runs() < runs {
            sleep(SECOND / 10).await;
        }
        sleep(SECOND / 100).await;
    }
}

fn search(registry: &Registry) -> Dependency {
    registry.dependency("search").register().unwrap()
}

fn view(dependency: &Dependency) -> ProbeView {
    dependency
        .registry()
        .snapshot()
        .dependency(dependency.name())
        .unwrap()
        .probes[0]
        .clone()
}

#[tokio::test(start_paused = true)]
async fn the_first_run_is_within_a_second_and_decides_at_once() {
    for (fails, expected) in [(false, Status::Healthy), (true, Status::Unhealthy)] {
        let registry = Registry::new();
        let search = search(&registry);
        let check = Check::default();
        check.fail(fails);
        check.attach(&search);
        let _driver = registry.drive();
        assert_eq!(search.status(), Status::Unknown);
        sleep(SECOND).await;
        sleep(SECOND / 100).await;
        assert_eq!((check.runs(), search.status()), (1, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn it_falls_after_three_failures_and_rises_after_two_successes() {
    let registry = Registry::new();
    let search = search(&registry);
    let check = Check::default();
    check.attach(&search);
    let _driver = registry.drive();
    check.ran(1).await;
    check.fail(true);
    for (runs, expected) in [
        (2, Status::Healthy),
        (3, Status::Healthy),
        (4, Status::Unhealthy),
    ] {
        check.ran(runs).await;
        assert_eq!(search.status(), expected, "after {runs} runs");
    }
    check.fail(false);
    for (runs, expected) in [(5, Status::Unhealthy), (6, Status::Healthy)] {
        check.ran(runs).await;
        assert_eq!(search.status(), expected, "after {runs} runs");
    }
    check.fail(true);
    check.ran(8).await;
    check.fail(false);
    check.ran(9).await;
    check.fail(true);
    check.ran(11).await;
    assert_eq!(
        search.status(),
        Status::Healthy,
        "failures that are not in a row do not add up"
    );
}

#[tokio::test(start_paused = true)]
async fn runs_keep_their_interval_with_jitter() {
    let registry = Registry::builder().seed(3).build().unwrap();
    let times = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&times);
    let probe = Probe::new(move || {
        sink.lock().unwrap().push(Instant::now());
        async { Ok::<(), String>(()) }
    });
    search(&registry).probe(probe).unwrap();
    let _driver = registry.drive();
    sleep(SECOND * 600).await;
    let times = times.lock().unwrap();
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.len() >= 18);
    assert!(
        gaps.iter()
            .all(|gap| (26_999..=33_001).contains(&gap.as_millis())),
        "{gaps:?}"
    );
    assert!(
        gaps.windows(2)
            .any(|pair| pair[0].abs_diff(pair[1]) > SECOND / 10),
        "{gaps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_has_failed_after_its_timeout_and_never_overlaps_itself() {
    let registry = Registry::new();
    let search = search(&registry);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (gauge, peak) = (Arc::clone(&running), Arc::clone(&most));
    let probe = Probe::new(move || {
        let gauge = Arc::clone(&gauge);
        peak.fetch_max(gauge.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        async move {
            let _leave = Leave(gauge);
            std::future::pending::<Result<(), String>>().await
        }
    });
    search
        .probe(probe.interval(SECOND * 5).timeout(SECOND * 5))
        .unwrap();
    let _driver = registry.drive();
    sleep(SECOND * 3).await;
    assert_eq!(search.status(), Status::Unknown);
    sleep(SECOND * 4).await;
    assert_eq!(search.status(), Status::Unhealthy);
    assert_eq!(view(&search).response_time.unwrap().as_secs(), 5);
    sleep(SECOND * 60).await;
    assert_eq!(most.load(Ordering::Relaxed), 1);
}

/// Counts down when the check ends or is cancelled.
struct Leave(Arc<AtomicUsize>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_has_failed_and_harms_nobody() {
    let registry = Registry::new();
    let search = search(&registry);
    let panics = |()| -> std::future::Ready<Result<(), String>> { panic!("on purpose") };
    search
        .probe(Probe::new(move || panics(())).name("sync"))
        .unwrap();
    let other = registry.dependency("other").register().unwrap();
    other
        .probe(Probe::new(|| async {
            Err::<(), _>(format!("{:?}", [0; 3].get(3).ok_or("none").unwrap()))
        }))
        .unwrap();
    let well = registry.dependency("well").register().unwrap();
    Check::default().attach(&well);
    let driver = registry.drive();
    sleep(SECOND * 2).await;
    assert_eq!(
        (search.status(), other.status()),
        (Status::Unhealthy, Status::Unhealthy)
    );
    assert_eq!(well.status(), Status::Healthy);
    assert_eq!(
        view(&search).private_error.as_deref(),
        Some("the check panicked")
    );
    assert!(driver.is_running());
}

#[tokio::test(start_paused = true)]
async fn at_most_sixteen_probes_run_at_once() {
    let registry = Registry::new();
    let (running, most, done) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    for number in 0..50 {
        let (running, most, done) = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&done));
        let probe = Probe::new(move || {
            let (running, most, done) =
                (Arc::clone(&running), Arc::clone(&most), Arc::clone(&done));
            async move {
                most.fetch_max(
                    running.fetch_add(1, Ordering::Relaxed) + 1,
                    Ordering::Relaxed,
                );
                sleep(SECOND * 3).await;
                running.fetch_sub(1, Ordering::Relaxed);
                done.fetch_add(1, Ordering::Relaxed);
                Ok::<(), String>(())
            }
        });
        registry
            .dependency(format!("d{number}"))
            .register()
            .unwrap()
            .probe(probe)
            .unwrap();
    }
    let _driver = registry.drive();
    sleep(SECOND * 15).await;
    assert_eq!(most.load(Ordering::Relaxed), 16);
    assert_eq!(done.load(Ordering::Relaxed), 50);
}

#[tokio::test(start_paused = true)]
async fn a_probe_attached_while_the_driver_runs_is_run_as_well() {
    let registry = Registry::new();
    let _driver = registry.drive();
    sleep(SECOND * 5).await;
    let check = Check::default();
    check.attach(&search(&registry));
    sleep(SECOND * 2).await;
    assert_eq!(check.runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_driver_stops_everything_and_withdraws_the_verdicts() {
    let registry = Registry::new();
    let search = search(&registry);
    let check = Check::default();
    check.fail(true);
    check.attach(&search);
    let (one, two) = (registry.drive(), registry.drive());
    check.ran(1).await;
    drop(one);
    check.ran(2).await;
    assert_eq!(search.status(), Status::Unhealthy);
    assert!(two.is_running(), "both guard the same task");
    drop(two);
    assert_eq!(
        search.status(),
        Status::Unknown,
        "nobody would ever take it back"
    );
    assert_eq!(
        view(&search).private_error.as_deref(),
        Some("10.0.0.7 refused"),
        "the record stays"
    );
    sleep(SECOND * 100).await;
    assert_eq!(check.runs(), 2);
    check.fail(false);
    let _again = registry.drive();
    sleep(SECOND * 2).await;
    assert_eq!(search.status(), Status::Healthy, "a new driver starts anew");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_driver_cancels_a_check_under_way() {
    let registry = Registry::new();
    let running = Arc::new(AtomicUsize::new(0));
    let gauge = Arc::clone(&running);
    let probe = Probe::new(move || {
        gauge.fetch_add(1, Ordering::Relaxed);
        let leave = Leave(Arc::clone(&gauge));
        async move {
            sleep(SECOND * 4).await;
            drop(leave);
            Ok::<(), String>(())
        }
    });
    search(&registry).probe(probe).unwrap();
    let driver = registry.drive();
    sleep(SECOND * 2).await;
    assert_eq!(running.load(Ordering::Relaxed), 1);
    drop(driver);
    sleep(SECOND / 100).await;
    assert_eq!(running.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn the_driver_ends_with_the_registry() {
    let registry = Registry::new();
    let driver = registry.drive();
    sleep(SECOND).await;
    assert!(driver.is_running());
    drop(registry);
    sleep(SECOND / 100).await;
    assert!(!driver.is_running());
}

#[tokio::test(start_paused = true)]
async fn the_driver_makes_expiries_prompt() {
    let registry = Registry::new();
    let _driver = registry.drive();
    let search = search(&registry);
    search
        .override_status(Status::Unhealthy, Order::new("ops", "drill", SECOND * 10))
        .unwrap();
    let mut events = registry.events();
    let start = Instant::now();
    let Some(Received::Event(event)) = events.recv().await else {
        panic!("an event")
    };
    assert!(
        matches!(event.kind, EventKind::OverrideExpired { .. }),
        "{event:?}"
    );
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_probe_says_only_when_its_verdict_turns() {
    let registry = Registry::new();
    let search = search(&registry);
    let check = Check::default();
    check.attach(&search);
    let _driver = registry.drive();
    check.ran(1).await;
    check.fail(true);
    check.ran(8).await;
    check.fail(false);
    check.ran(12).await;
    let turns: Vec<_> = registry
        .recent_events()
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::ProbeFailed {
                consecutive_failures,
                ..
            } => Some(*consecutive_failures),
            EventKind::ProbeRecovered { .. } => Some(0),
            _ => None,
        })
        .collect();
    assert_eq!(turns, [3, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_record_of_a_probe_is_in_the_picture() {
    let registry = Registry::new();
    let search = search(&registry);
    let check = Check::default();
    check.attach(&search);
    let before = view(&search);
    assert_eq!(
        (
            before.passing,
            before.last_check.is_none(),
            before.response_time
        ),
        (None, true, None)
    );
    let _driver = registry.drive();
    check.ran(1).await;
    check.fail(true);
    check.ran(3).await;
    sleep(SECOND * 2).await;
    let after = view(&search);
    assert_eq!((after.passing, after.consecutive_failures), (Some(true), 2));
    assert_eq!(after.private_error.as_deref(), Some("10.0.0.7 refused"));
    assert_eq!(after.last_check.unwrap().age().as_secs(), 2);
}

#[test]
fn a_probe_with_a_setting_out_of_range_is_refused() {
    let registry = Registry::new();
    let search = search(&registry);
    let probe = || Probe::new(|| async { Ok::<(), String>(()) });
    let cases = [
        ("interval", probe().interval(Duration::ZERO)),
        ("interval", probe().interval(Duration::from_millis(9))),
        ("interval", probe().interval(Duration::MAX)),
        ("timeout", probe().timeout(Duration::ZERO)),
        ("timeout", probe().timeout(SECOND * 31)),
        ("timeout", probe().interval(SECOND).timeout(SECOND * 2)),
        ("fall", probe().fall(0)),
        ("rise", probe().rise(0)),
    ];
    for (expected, probe) in cases {
        match search.probe(probe) {
            Err(ProbeError::Invalid { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(search.status(), Status::Healthy, "nothing was attached");
    // Without a word about the timeout it is as long as the interval, where that is shorter than five seconds.
    search.probe(probe().interval(SECOND / 100)).unwrap();
    for _ in 1..8 {
        search.probe(probe()).unwrap();
    }
    assert!(matches!(
        search.probe(probe()),
        Err(ProbeError::TooMany { limit: 8, .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn each_result_that_confirms_the_verdict_renews_what_the_probe_reports() {
    let registry = Registry::new();
    let search = search(&registry);
    let runs = AtomicUsize::new(0);
    let run = move || {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        async move {
            match run {
                0..20 => Ok(()),
                20..40 => std::future::pending().await,
                _ => Err("refused"),
            }
        }
    };
    search.probe(Probe::new(run)).unwrap();
    let _driver = registry.drive();
    let report = |after: u64| {
        let registry = &registry;
        async move {
            sleep(SECOND * u32::try_from(after).unwrap()).await;
            let view = registry.snapshot().dependency("search").unwrap().clone();
            let checked = view.probes[0].last_check.unwrap();
            assert_eq!(view.reports[0].last.at, checked.at);
            view.reports[0].clone()
        }
    };
    assert_eq!(report(500).await.status, Status::Healthy);
    let hangs = report(500).await;
    assert_eq!(hangs.message.as_deref(), Some("probe timed out"));
    let fails = report(500).await;
    assert_eq!(fails.message.as_deref(), Some("probe failed"));
    assert_eq!(fails.private_detail.as_deref(), Some("refused"));
}
