//! The call path allocates nothing: enabled, refused, reused or cloned for the call.
//!
//! A test binary of its own, because it counts the allocations of its thread.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{
    future::{Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use allocation_counter::measure;
use brownout::{
    Registry,
    core::{Cause, Rejected, Verdict},
    flag::{Flag, FlagLayer, Flags},
    registry::{DegradationLevel, FeatureState, Order},
};
use tower::{Layer, Service, service_fn};

const CALLS: u32 = 100;

/// An error that a refusal turns into without being boxed.
#[derive(Debug)]
struct Failed(#[expect(dead_code, reason = "kept, as a real error would")] Rejected);

impl From<Rejected> for Failed {
    fn from(rejected: Rejected) -> Self {
        Self(rejected)
    }
}

fn adding(
    n: u32,
) -> impl Service<u32, Response = u32, Error = Failed, Future = Ready<Result<u32, Failed>>> + Clone
{
    service_fn(move |request: u32| ready(Ok(request + n)))
}

fn call<S: Service<u32>>(service: &mut S, request: u32) -> Result<S::Response, S::Error> {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx)?.is_ready());
    match pin!(service.call(request)).poll(&mut cx) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("these futures are ready at once"),
    }
}

/// Allocations of many calls on one instance, and of many clones that are called once.
fn allocations<S: Service<u32> + Clone>(mut service: S) -> (u64, u64) {
    // What is made once, on first use, is made before.
    for n in 0..CALLS {
        drop(call(&mut service.clone(), n));
    }
    let reused = measure(|| {
        for n in 0..CALLS {
            drop(call(&mut service, n));
        }
    });
    let cloned = measure(|| {
        for n in 0..CALLS {
            drop(call(&mut service.clone(), n));
        }
    });
    (reused.count_total, cloned.count_total)
}

/// A plain flag, one with a level gate, and one that an operator has a say in.
fn flags() -> [Flag; 3] {
    let registry = Registry::new();
    let flags = Flags::new(&registry);
    let order = Order::new("kim", "rehearsal", Duration::from_hours(1));
    registry
        .override_flag("ordered", FeatureState::Enabled, order)
        .unwrap();
    let gated = flags.builder("gated").degrade_at(DegradationLevel::Minimal);
    [
        flags.flag("plain").unwrap(),
        gated.build().unwrap(),
        flags.flag("ordered").unwrap(),
    ]
}

#[test]
fn the_count_would_see_an_allocation() {
    let boxed = measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(boxed.count_total, 1);
}

#[test]
fn a_call_through_an_enabled_flag_allocates_nothing() {
    for flag in flags() {
        let layer = FlagLayer::for_results(flag.clone()).degraded(adding(100));
        assert_eq!(allocations(layer.layer(adding(0))), (0, 0), "{flag:?}");
        assert_eq!(flag.stats().totals.successes, u64::from(3 * CALLS));
    }
}

#[test]
fn a_call_that_may_fall_through_allocates_nothing_nor_does_going_on() {
    let flag = Flags::new(&Registry::new()).builder("patient");
    let flag = flag.errors(1_000_000).build().unwrap();
    let layer = FlagLayer::for_results(flag.clone()).degraded(adding(100));
    let layer = layer
        .fall_through()
        .safe()
        .causes(|_: &Failed| Cause::failed("refused"));
    assert_eq!(allocations(layer.clone().layer(adding(0))), (0, 0));
    let failing = layer.classify(|_: Result<&u32, &Failed>| Verdict::Failure);
    assert_eq!(allocations(failing.layer(adding(0))), (0, 0));
    assert_eq!(flag.stats().totals.failures, u64::from(3 * CALLS));
}

#[test]
fn a_failure_that_degrades_nothing_allocates_nothing() {
    let flag = Flags::new(&Registry::new())
        .builder("patient")
        .errors(1_000_000)
        .build()
        .unwrap();
    let layer = FlagLayer::for_results(flag).classify(|_: Result<&u32, &Failed>| Verdict::Failure);
    assert_eq!(allocations(layer.layer(adding(0))), (0, 0));
}

#[test]
fn a_refused_call_and_one_that_goes_elsewhere_allocate_nothing() {
    for state in [FeatureState::Degraded, FeatureState::Disabled] {
        let flag = Flags::new(&Registry::new()).flag("off").unwrap();
        flag.configure(state);
        let layer = FlagLayer::for_results(flag.clone());
        assert_eq!(allocations(layer.layer(adding(0))), (0, 0));
        let layer = layer.degraded(adding(100)).disabled(adding(200));
        assert_eq!(allocations(layer.layer(adding(0))), (0, 0));
        assert_eq!(flag.stats().totals.diverted, u64::from(6 * CALLS));
    }
}

#[test]
fn a_call_that_is_turned_away_after_errors_allocates_nothing() {
    let flag = Flags::new(&Registry::new()).flag("failed").unwrap();
    for _ in 0..5 {
        flag.admit().unwrap().failure();
    }
    let layer = FlagLayer::for_results(flag);
    assert_eq!(allocations(layer.layer(adding(0))), (0, 0));
}
