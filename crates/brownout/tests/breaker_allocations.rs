//! The call path allocates nothing: closed, refused, reused or cloned for the call.
//!
//! A test binary of its own, because it counts the allocations of its thread.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{
    future::Future,
    num::NonZeroU32,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use allocation_counter::measure;
use brownout::{
    Registry,
    breaker::{Circuit, CircuitBreakerLayer, KeyedCircuits, Policy},
    core::{Rejected, Verdict},
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

type Answer = std::future::Ready<Result<u32, Failed>>;

fn echo() -> impl Service<u32, Response = u32, Error = Failed, Future = Answer> + Clone {
    service_fn(|n: u32| std::future::ready(Ok(n)))
}

fn circuit(policy: Policy) -> Circuit {
    let dependency = Registry::new().dependency("search").register().unwrap();
    Circuit::builder(&dependency).policy(policy).build()
}

/// Drives a future that needs no waking.
fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("these futures are ready at once"),
    }
}

fn call<S: Service<u32>>(service: &mut S, request: u32) -> Result<S::Response, S::Error> {
    let mut cx = Context::from_waker(Waker::noop());
    match service.poll_ready(&mut cx)? {
        Poll::Ready(()) => finish(service.call(request)),
        Poll::Pending => unreachable!("these services are ready at once"),
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

fn policies() -> [Policy; 4] {
    let builder = Policy::builder;
    [
        Policy::consecutive(NonZeroU32::MIN),
        Policy::default(),
        builder().window_of_calls(100).build().unwrap(),
        builder()
            .slow_calls(Duration::from_secs(1), 0.5)
            .build()
            .unwrap(),
    ]
}

#[test]
fn the_count_would_see_an_allocation() {
    let boxed = measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(boxed.count_total, 1);
}

#[test]
fn a_call_through_a_closed_circuit_allocates_nothing() {
    for policy in policies() {
        let layer = CircuitBreakerLayer::with(circuit(policy.clone())).for_results();
        assert_eq!(allocations(layer.layer(echo())), (0, 0), "{policy:?}");
    }
}

#[test]
fn a_failure_that_opens_nothing_allocates_nothing() {
    for policy in [
        Policy::builder()
            .consecutive_failures(1_000_000)
            .minimum_calls(1_000_000),
        Policy::builder()
            .consecutive_failures(1_000_000)
            .no_failure_ratio(),
        Policy::builder()
            .window_of_calls(1_000_000)
            .minimum_calls(1_000_000)
            .no_consecutive_failures(),
    ] {
        let circuit = circuit(policy.build().unwrap());
        let layer = CircuitBreakerLayer::with(circuit)
            .classify(|_: Result<&u32, &Failed>| Verdict::Failure);
        assert_eq!(allocations(layer.layer(echo())), (0, 0));
    }
}

#[test]
fn a_refused_call_allocates_nothing() {
    for policy in policies() {
        let circuit = circuit(policy);
        let open_for = Duration::from_mins(1);
        circuit.admit().unwrap().settle(Verdict::Trip { open_for });
        let layer = CircuitBreakerLayer::with(circuit.clone()).for_results();
        assert_eq!(allocations(layer.layer(echo())), (0, 0));
        assert_eq!(circuit.stats().totals.rejected, u64::from(3 * CALLS));
    }
}

#[test]
fn a_call_through_a_keyed_circuit_that_exists_allocates_nothing() {
    let dependency = Registry::new().dependency("search").register().unwrap();
    let circuits = KeyedCircuits::new(&dependency);
    let layer = CircuitBreakerLayer::keyed(circuits, |n: &u32| n % 8).for_results();
    assert_eq!(allocations(layer.layer(echo())), (0, 0));
}

#[cfg(feature = "http")]
#[test]
fn an_http_answer_that_is_observed_to_its_end_allocates_nothing() {
    use std::convert::Infallible;

    use http::Response;
    use http_body::{Body, Frame, SizeHint};

    /// One frame of static bytes, as cheap as a body can be.
    struct Once(bool);

    impl Body for Once {
        type Data = bytes::Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<bytes::Bytes>, Infallible>>> {
            let first = !std::mem::replace(&mut self.0, true);
            Poll::Ready(first.then(|| Ok(Frame::data(bytes::Bytes::from_static(b"hello")))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::default()
        }
    }

    let layer = CircuitBreakerLayer::with(circuit(Policy::default())).for_http();
    let service =
        service_fn(|()| std::future::ready(Ok::<_, Infallible>(Response::new(Once(false)))));
    let mut service = layer.layer(service);
    let mut exchange = || {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut cx).is_ready());
        let Ok(response) = finish(service.call(()));
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut cx) {}
    };
    exchange();
    let counted = measure(|| {
        for _ in 0..CALLS {
            exchange();
        }
    });
    assert_eq!(counted.count_total, 0);
}
