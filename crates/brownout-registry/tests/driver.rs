//! The life of the driver: who starts it, on which runtime, and what is left when it dies.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use brownout_registry::{Dependency, Driver, Probe, Registry, Status};
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

const SECOND: Duration = Duration::from_secs(1);

/// A runtime whose threads are its own. These tests are about threads, so their clock is real.
fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap()
}

/// A dependency with a probe that passes, often.
fn probed(registry: &Registry) -> Dependency {
    let search = registry.dependency("search").register().unwrap();
    let passes = || async { Ok::<(), String>(()) };
    search
        .probe(Probe::new(passes).interval(SECOND / 20))
        .unwrap();
    search
}

/// Waits, in real time, until it holds, but no longer than five seconds; whether it does.
fn soon(holds: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !holds() && start.elapsed() < SECOND * 5 {
        std::thread::sleep(SECOND / 100);
    }
    holds()
}

#[test]
fn threads_that_drive_at_once_share_a_driver_that_is_heard() {
    let runtime = runtime(2);
    let driven: Vec<(Registry, Dependency, Vec<Driver>)> = (0..50)
        .map(|_| {
            let registry = Registry::new();
            let search = probed(&registry);
            let together = Barrier::new(4);
            let drive = || {
                let _entered = runtime.enter();
                together.wait();
                registry.drive()
            };
            let drivers = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(drive)).collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .collect()
            });
            (registry, search, drivers)
        })
        .collect();
    let heard = || {
        driven
            .iter()
            .all(|(_, search, _)| search.status() == Status::Healthy)
    };
    assert!(soon(heard));
    assert!(
        driven
            .iter()
            .flat_map(|(_, _, drivers)| drivers)
            .all(Driver::is_running)
    );
}

#[test]
fn a_driver_is_heard_though_the_guard_of_a_dead_one_is_dropped_after_it_started() {
    let registry = Registry::new();
    let search = probed(&registry);
    let first = runtime(1);
    let old = {
        let _entered = first.enter();
        registry.drive()
    };
    drop(first);
    assert!(!old.is_running());
    let second = runtime(1);
    let new = {
        let _entered = second.enter();
        registry.drive()
    };
    drop(old);
    assert!(new.is_running());
    assert!(soon(|| search.status() == Status::Healthy));
}

#[test]
fn a_driver_started_while_the_last_one_is_dropped_is_heard() {
    let runtime = runtime(2);
    let _entered = runtime.enter();
    let driven: Vec<_> = (0..200)
        .map(|round| {
            let registry = Registry::new();
            let search = probed(&registry);
            let old = registry.drive();
            let together = Barrier::new(2);
            let new = std::thread::scope(|scope| {
                scope.spawn(|| {
                    together.wait();
                    drop(old);
                });
                together.wait();
                for _ in 0..round % 60 {
                    std::hint::spin_loop();
                }
                registry.drive()
            });
            (search, new)
        })
        .collect();
    assert!(driven.iter().all(|(_, driver)| driver.is_running()));
    assert!(soon(|| {
        driven
            .iter()
            .all(|(search, _)| search.status() == Status::Healthy)
    }));
}

#[test]
fn verdicts_are_withdrawn_when_the_runtime_of_the_driver_is_gone() {
    let registry = Registry::new();
    let search = probed(&registry);
    let (first, second) = (runtime(1), runtime(1));
    let guards = [&first, &second].map(|runtime| {
        let _entered = runtime.enter();
        registry.drive()
    });
    assert!(soon(|| search.status() == Status::Healthy));
    drop(first);
    assert!(!guards.iter().any(Driver::is_running));
    assert_eq!(
        search.status(),
        Status::Unknown,
        "nobody renews what the probe has said"
    );
    let _third = {
        let _entered = second.enter();
        registry.drive()
    };
    assert!(soon(|| search.status() == Status::Healthy));
}

#[test]
fn a_driver_on_a_runtime_that_shuts_down_calls_nobody_back_under_a_lock() {
    let registry = Registry::new();
    let _search = probed(&registry);
    let runtime = runtime(1);
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    assert!(!registry.drive().is_running());
    assert!(!registry.drive().is_running());
}

#[test]
fn without_time_in_its_runtime_a_driver_is_idle_and_nothing_panics() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let registry = Registry::new();
    let search = probed(&registry);
    runtime.block_on(async {
        let driver = registry.drive();
        assert!(!driver.is_running());
        tokio::task::yield_now().await;
        assert!(!driver.is_running());
    });
    assert_eq!(search.status(), Status::Unknown);
}

#[test]
fn without_time_in_its_runtime_a_watch_still_sees_every_change_that_wakes_it() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let reporter = search.reporter(brownout_registry::ReporterKind::Code, "test");
    // Something that will expire, so that the watch wants a timer.
    reporter.report(brownout_registry::Report::unhealthy("gone").ttl(SECOND * 3600));
    let mut watch = registry.watch();
    runtime.block_on(async {
        let waiting = tokio::spawn(async move { watch.changed().await });
        tokio::task::yield_now().await;
        reporter.report(brownout_registry::Report::healthy());
        assert!(waiting.await.unwrap().is_some());
    });
}

#[test]
fn a_check_never_overlaps_itself_though_the_driver_is_dropped_and_started_anew() {
    let runtime = runtime(4);
    let _entered = runtime.enter();
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let [running, most, runs] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
    let (gauge, peak, count) = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&runs));
    let blocks = move || {
        let (gauge, peak, count) = (Arc::clone(&gauge), Arc::clone(&peak), Arc::clone(&count));
        async move {
            peak.fetch_max(gauge.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // A check that blocks its thread cannot be cancelled: that is the point.
            std::thread::sleep(SECOND * 2);
            gauge.fetch_sub(1, Ordering::SeqCst);
            count.fetch_add(1, Ordering::SeqCst);
            Ok::<(), String>(())
        }
    };
    search.probe(Probe::new(blocks)).unwrap();
    let first = registry.drive();
    assert!(soon(|| running.load(Ordering::SeqCst) == 1));
    drop(first);
    let _second = registry.drive();
    assert!(
        soon(|| runs.load(Ordering::SeqCst) == 2),
        "it runs again once it can"
    );
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

fn hangs() -> std::future::Pending<Result<(), String>> {
    std::future::pending()
}

#[tokio::test(start_paused = true)]
async fn probes_that_hang_leave_places_to_those_that_do_not() {
    let registry = Registry::builder().seed(3).build().unwrap();
    for number in 0..200 {
        let hung = registry
            .dependency(format!("hung{number}"))
            .register()
            .unwrap();
        hung.probe(Probe::new(hangs)).unwrap();
    }
    let well = registry.dependency("well").register().unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let passes = move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok::<(), String>(()) }
    };
    well.probe(Probe::new(passes)).unwrap();
    let _driver = registry.drive();
    // Once every probe that hangs has shown it, 200 / 16 places * 5 s.
    sleep(SECOND * 70).await;
    let before = runs.load(Ordering::SeqCst);
    sleep(SECOND * 330).await;
    let runs = runs.load(Ordering::SeqCst) - before;
    assert!(
        (10..=12).contains(&runs),
        "ran {runs} times in 330 s, at an interval of 30 s"
    );
}

#[tokio::test(start_paused = true)]
async fn probes_with_long_timeouts_do_not_take_every_place() {
    let registry = Registry::builder().seed(3).build().unwrap();
    for number in 0..64 {
        let hung = registry
            .dependency(format!("hung{number}"))
            .register()
            .unwrap();
        let hour = SECOND * 3600;
        hung.probe(Probe::new(hangs).interval(hour).timeout(hour))
            .unwrap();
    }
    let well = probed(&registry);
    let _driver = registry.drive();
    sleep(SECOND * 2).await;
    assert_eq!(well.status(), Status::Healthy);
}
