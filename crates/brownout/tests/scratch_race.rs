#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    missing_docs
)]
use brownout::{Registry, breaker::*, core::*, flag::*, registry::*, report::*};
use std::sync::Arc;
use std::sync::atomic::*;
use std::time::{Duration, Instant};
#[test]
fn counters_monotone() {
    let reg = Registry::new();
    let flags = Flags::new(&reg);
    let d = reg.dependency("d").register().unwrap();
    reg.time_calls();
    let stop = Arc::new(AtomicBool::new(false));
    let mut hs = vec![];
    for t in 0..4 {
        let (d, stop) = (d.clone(), stop.clone());
        hs.push(std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let c = Circuit::new(&d);
                for _ in 0..3 {
                    if let Ok(t) = c.admit() {
                        t.success();
                    }
                }
                drop(c);
                let _ = t;
            }
        }));
    }
    let mut last = std::collections::BTreeMap::new();
    let end = Instant::now() + Duration::from_secs(3);
    let mut n = 0;
    while Instant::now() < end {
        let r = reg.readings();
        for (k, v) in r.counts() {
            let l = last.entry(k.clone()).or_insert(0u64);
            assert!(*l <= v, "{k:?} {l} {v}");
            *l = v;
        }
        n += 1;
    }
    stop.store(true, Ordering::Relaxed);
    for h in hs {
        h.join().unwrap();
    }
    let _ = flags;
    println!("{n} readings, {last:?}");
    let r = reg.readings();
    let total: u64 = r
        .counts()
        .filter(|(k, _)| {
            matches!(
                k,
                Counted::Calls {
                    outcome: "success",
                    ..
                }
            )
        })
        .map(|x| x.1)
        .sum();
    let lasting: u64 = r
        .counts()
        .filter(|(k, _)| matches!(k, Counted::Lasting { .. }))
        .map(|x| x.1)
        .sum();
    println!("{total} {lasting}");
}
#[test]
fn flags_storm() {
    // many threads: orders, configure, level overrides, failures; in the end all settles.
    let reg = Registry::builder().dwell(Duration::ZERO).build().unwrap();
    let flags = Flags::new(&reg);
    let d = reg.dependency("d").register().unwrap();
    let flag = flags
        .builder("x")
        .dependency(&d)
        .errors(2)
        .ttl(Duration::from_millis(5))
        .ttl_at_most(Duration::from_millis(20))
        .ramp(Duration::from_millis(5))
        .degrade_at(DegradationLevel::Reduced)
        .disable_at(DegradationLevel::Emergency)
        .build()
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut hs = vec![];
    for t in 0..6u32 {
        let (reg, flag, d, stop) = (reg.clone(), flag.clone(), d.clone(), stop.clone());
        hs.push(std::thread::spawn(move || {
            let rep = d.reporter(
                if t % 2 == 0 {
                    ReporterKind::Code
                } else {
                    ReporterKind::Circuit
                },
                "r",
            );
            let mut i = 0u64;
            while !stop.load(Ordering::Relaxed) {
                i += 1;
                match (i * 7 + t as u64) % 9 {
                    0 => {
                        if let Ok(id) = reg.override_flag(
                            "x",
                            FeatureState::Disabled,
                            Order::new("a", "b", Duration::from_secs(1)),
                        ) {
                            let _ = reg.release(id);
                        }
                    }
                    1 => rep.report(
                        Report::unhealthy("x")
                            .ttl(Duration::from_millis(2))
                            .then(Status::Degraded),
                    ),
                    2 => rep.report(Report::healthy()),
                    3 => flag.configure(FeatureState::Degraded),
                    4 => flag.configure(FeatureState::Enabled),
                    5 => {
                        let _ = flag.stats();
                    }
                    _ => match flag.admit() {
                        Ok(t) => {
                            if i % 2 == 0 {
                                t.failure()
                            } else {
                                t.success()
                            }
                        }
                        Err(_) => {}
                    },
                }
            }
        }));
    }
    std::thread::sleep(Duration::from_secs(3));
    stop.store(true, Ordering::Relaxed);
    for h in hs {
        h.join().unwrap();
    }
    flag.configure(FeatureState::Enabled);
    std::thread::sleep(Duration::from_millis(200));
    println!("{:?} {:?} {:?}", flag.stats(), d.status(), reg.level());
    assert_eq!(flag.state(), FeatureState::Enabled);
    // events chain
    let ev = reg.recent_events();
    let mut prev = None;
    for e in ev.iter() {
        if let EventKind::FlagChanged { from, to, .. } = &e.kind {
            if let Some(p) = prev {
                assert_eq!(p, *from);
            }
            prev = Some(*to);
        }
    }
    assert_eq!(prev, Some(FeatureState::Enabled));
}
