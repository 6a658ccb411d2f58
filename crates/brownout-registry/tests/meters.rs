//! What parts have counted is read from one place, and outlives them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests panic on purpose, and where something is wrong"
)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use brownout_registry::{CircuitState, Counted, FeatureState, Meter, Readings, Registry};

/// A part that counts, and is retired as parts are.
struct Part {
    registry: Registry,
    calls: AtomicU64,
    timed: AtomicBool,
}

impl Part {
    fn attached(registry: &Registry) -> Arc<Self> {
        let part = Arc::new(Self {
            registry: registry.clone(),
            calls: AtomicU64::new(0),
            timed: AtomicBool::new(false),
        });
        registry.attach_meter(&part);
        part
    }
}

impl Meter for Part {
    fn read(&self, readings: &mut Readings) {
        readings.count(calls(), self.calls.load(Relaxed));
        readings.flag("on".into(), FeatureState::Enabled);
    }

    fn time_calls(&self) {
        self.timed.store(true, Relaxed);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.registry.retire_meter(self);
    }
}

fn calls() -> Counted {
    Counted::Calls {
        dependency: "search".into(),
        layer: "test",
        outcome: "success",
    }
}

fn total(registry: &Registry) -> u64 {
    let readings = registry.readings();
    let mut counts = readings.counts().filter(|(what, _)| **what == calls());
    counts.next().map_or(0, |(_, count)| count)
}

#[test]
fn parts_that_count_the_same_are_added_up() {
    let registry = Registry::new();
    let (one, other) = (Part::attached(&registry), Part::attached(&registry));
    one.calls.store(3, Relaxed);
    other.calls.store(4, Relaxed);
    assert_eq!(total(&registry), 7);
}

/// A part that counts nothing but panics.
struct Broken(Registry);

impl Meter for Broken {
    fn read(&self, _: &mut Readings) {
        panic!("on purpose");
    }

    fn time_calls(&self) {
        panic!("on purpose");
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        self.0.retire_meter(self);
    }
}

#[test]
fn a_part_that_panics_when_it_is_read_hides_no_other() {
    let registry = Registry::new();
    let broken = Arc::new(Broken(registry.clone()));
    registry.attach_meter(&broken);
    let part = Part::attached(&registry);
    part.calls.store(2, Relaxed);
    assert_eq!(total(&registry), 2);
    registry.time_calls();
    assert!(part.timed.load(Relaxed));
    drop(broken);
    assert_eq!(total(&registry), 2);
}

/// A part of whose counts somebody asks in the moment in which it goes.
struct Leaving {
    registry: Registry,
    seen: Arc<AtomicU64>,
}

impl Meter for Leaving {
    fn read(&self, readings: &mut Readings) {
        readings.count(calls(), 5);
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.seen.store(total(&self.registry), Relaxed);
        self.registry.retire_meter(self);
    }
}

#[test]
fn no_total_falls_while_a_part_is_about_to_go() {
    let registry = Registry::new();
    let seen = Arc::new(AtomicU64::new(0));
    let leaving = Arc::new(Leaving {
        registry: registry.clone(),
        seen: Arc::clone(&seen),
    });
    registry.attach_meter(&leaving);
    let staying = Part::attached(&registry);
    staying.calls.store(2, Relaxed);
    assert_eq!(total(&registry), 7);
    drop(leaving);
    assert_eq!(seen.load(Relaxed), 7);
    staying.calls.store(3, Relaxed);
    assert_eq!(total(&registry), 8);
}

#[test]
fn what_a_part_has_counted_stays_when_it_goes_but_not_its_state() {
    let registry = Registry::new();
    for _ in 0..1_000 {
        let part = Part::attached(&registry);
        part.calls.store(2, Relaxed);
        assert_eq!(registry.readings().flags().count(), 1);
    }
    assert_eq!(total(&registry), 2_000);
    assert_eq!(registry.readings().flags().count(), 0);
}

#[test]
fn calls_are_timed_by_parts_of_before_and_after_and_only_when_asked_for() {
    let registry = Registry::new();
    let before = Part::attached(&registry);
    assert!(!before.timed.load(Relaxed));
    registry.time_calls();
    let after = Part::attached(&registry);
    assert!(before.timed.load(Relaxed) && after.timed.load(Relaxed));
}

#[test]
fn of_several_circuits_on_one_dependency_the_worst_is_read() {
    use CircuitState::{Closed, HalfOpen, Open};
    for (states, worst) in [
        ([Closed, HalfOpen, Closed], HalfOpen),
        ([HalfOpen, Open, Closed], Open),
        ([Closed, Closed, Closed], Closed),
    ] {
        let mut readings = Readings::default();
        for state in states {
            readings.circuit("search".into(), state);
        }
        assert_eq!(readings.circuits().next().unwrap().1, worst);
    }
}
