//! The call path allocates nothing: not taken, taken, reused or cloned for the call.
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
    fallback::{Cause, Exercise, Exhausted, FallbackLayer, Tier},
    registry::{DegradationLevel, Order, Status},
};
use tower::{Layer, Service, service_fn};

const CALLS: u32 = 100;

/// An error without data.
#[derive(Clone, Copy, Debug)]
struct Fault;

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fault")
    }
}

impl From<Exhausted> for Fault {
    fn from(_: Exhausted) -> Self {
        Self
    }
}

type Answer = Ready<Result<u32, Fault>>;

fn primary(
    works: bool,
) -> impl Service<u32, Response = u32, Error = Fault, Future = Answer> + Clone {
    service_fn(move |n: u32| ready(if works { Ok(n) } else { Err(Fault) }))
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
fn allocations<S: Service<u32, Response = u32> + Clone>(mut service: S, answer: u32) -> (u64, u64) {
    assert_eq!(call(&mut service.clone(), 1).ok(), Some(answer));
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

#[test]
fn a_call_that_needs_no_tier_allocates_nothing() {
    let layer = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("service", primary(true)))
        .tier_fn("closure", |_| ready(Ok::<u32, Fault>(98)))
        .last("last", |_| ready(99))
        .unwrap();
    assert_eq!(allocations(layer.layer(primary(true)), 1), (0, 0));
}

#[test]
fn a_call_of_a_chain_that_covers_a_dependency_allocates_nothing() {
    let search = Registry::new().dependency("search").register().unwrap();
    for works in [true, false] {
        let layer = FallbackLayer::for_results()
            .safe()
            .covering(&search)
            .causes(|_: &Fault| Cause::failed("fault"))
            .last("last", |_| ready(1))
            .unwrap();
        assert_eq!(allocations(layer.layer(primary(works)), 1), (0, 0));
    }
}

#[test]
fn a_call_of_a_chain_with_everything_allocates_nothing_where_the_primary_answers_at_once() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let mirror = registry.dependency("mirror").register().unwrap();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&search)
        .within(Duration::from_secs(1))
        .skip_when_unhealthy(&search)
        .tier_stands_for("mirror", &mirror)
        .tier(Tier::new("mirror", primary(true)).timeout(Duration::from_millis(1)))
        .last("last", |_| ready(99))
        .unwrap();
    assert_eq!(allocations(layer.layer(primary(true)), 1), (0, 0));
}

#[test]
fn a_call_of_a_chain_that_exercises_its_tier_allocates_nothing_where_it_does_not() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let layer = |share: f64| {
        FallbackLayer::for_results()
            .safe()
            .covering(&search)
            .causes(|_: &Fault| Cause::failed("fault"))
            .exercise(Exercise::share(share).at_most(1))
            .last("last", |_| ready(1))
            .unwrap()
    };
    // Drawn hardly ever.
    assert_eq!(allocations(layer(1e-9).layer(primary(true)), 1), (0, 0));
    // Drawn always, with no place left in this second, or the next.
    let (reused, cloned) = allocations(layer(1.0).layer(primary(true)), 1);
    assert!(reused + cloned <= 4, "{reused} and {cloned}");
    // Not even drawn, for the system is degraded.
    let order = Order::new("kim", "drill", Duration::from_mins(1));
    let level = DegradationLevel::Reduced;
    registry.override_level(level, order).unwrap();
    for works in [true, false] {
        assert_eq!(allocations(layer(1.0).layer(primary(works)), 1), (0, 0));
    }
}

#[test]
fn a_primary_that_is_passed_over_costs_the_box_of_its_cause() {
    let search = Registry::new().dependency("search").register().unwrap();
    let order = Order::new("kim", "drill", Duration::from_mins(1));
    search.override_status(Status::Unhealthy, order).unwrap();
    let layer = FallbackLayer::for_results()
        .safe()
        .skip_when_unhealthy(&search)
        .last("last", |_| ready(99))
        .unwrap();
    let calls = u64::from(CALLS);
    assert_eq!(allocations(layer.layer(primary(true)), 99), (calls, calls));
}

#[test]
fn a_call_that_a_closure_answers_allocates_nothing() {
    let layer = FallbackLayer::for_results()
        .safe()
        .causes(|_: &Fault| Cause::failed("fault"))
        .last("last", |_| ready(99))
        .unwrap();
    assert_eq!(allocations(layer.layer(primary(false)), 99), (0, 0));
}

#[test]
fn a_call_that_a_service_answers_allocates_nothing() {
    let layer = FallbackLayer::for_results()
        .causes(|_: &Fault| Cause::connect("no route"))
        .tier(Tier::new("service", primary(true)))
        .build()
        .unwrap();
    assert_eq!(allocations(layer.layer(primary(false)), 1), (0, 0));
}

#[test]
fn the_text_of_an_error_is_all_that_is_allocated_where_nothing_better_is_said() {
    let layer = FallbackLayer::for_results()
        .safe()
        .last("last", |_| ready(99))
        .unwrap();
    let (reused, cloned) = allocations(layer.layer(primary(false)), 99);
    // The text grows in a `String`, and is shared from then on.
    assert_eq!(
        (reused, cloned),
        (2 * u64::from(CALLS), 2 * u64::from(CALLS))
    );
}
