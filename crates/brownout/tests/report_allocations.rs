//! What is passed on allocates nothing.
//!
//! A test binary of its own, because it counts the allocations of its thread.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{
    convert::Infallible,
    future::ready,
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use brownout::{
    Registry,
    core::{DegradeReason, Degraded},
    report::{DegradedLayer, HealthLayer, ReportLayer, note},
};
use http::{Request, Response};
use tower::{Layer, Service, service_fn};

const CALLS: u32 = 100;

fn call<S: Service<Request<u32>>>(service: &mut S, request: Request<u32>) -> S::Response
where
    S::Error: std::fmt::Debug,
{
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    match pin!(service.call(request)).poll(&mut cx) {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => unreachable!("these futures are ready at once"),
    }
}

#[test]
fn a_request_that_is_passed_on_by_the_health_layer_allocates_nothing() {
    let layer = HealthLayer::new(&Registry::new());
    let mut service = layer.layer(service_fn(|request: Request<u32>| {
        ready(Ok::<_, Infallible>(Response::new(request.into_body())))
    }));
    let reused = measure(|| {
        for n in 0..CALLS {
            call(&mut service, Request::new(n));
        }
    });
    let cloned = measure(|| {
        for n in 0..CALLS {
            call(&mut service.clone(), Request::new(n));
        }
    });
    assert_eq!((reused.count_total, cloned.count_total), (0, 0));
    // The count would see an allocation.
    let own = measure(|| {
        let mut request = Request::new(1);
        *request.uri_mut() = http::Uri::from_static("/livez");
        call(&mut service, request);
    });
    assert!(own.count_total > 0);
}

#[test]
fn a_call_that_is_reported_on_allocates_nothing() {
    let dependency = Registry::new().dependency("search").register().unwrap();
    let layer = ReportLayer::new(&dependency).for_results();
    let mut service = layer.layer(service_fn(|request: Request<u32>| {
        ready(Ok::<_, Infallible>(Response::new(request.into_body())))
    }));
    // Its first word on the dependency.
    call(&mut service, Request::new(0));
    let calls = measure(|| {
        for n in 0..CALLS {
            call(&mut service.clone(), Request::new(n));
            call(&mut service, Request::new(n));
        }
    });
    assert_eq!(calls.count_total, 0);
}

#[test]
fn an_answer_of_which_nothing_is_missing_is_passed_on_without_an_allocation() {
    let mut service = DegradedLayer::new().layer(service_fn(|request: Request<u32>| {
        if *request.body() == CALLS {
            note(&Degraded::new(DegradeReason::Failed));
        }
        ready(Ok::<_, Infallible>(Response::new(request.into_body())))
    }));
    let calls = measure(|| {
        for n in 0..CALLS {
            call(&mut service, Request::new(n));
            call(&mut service.clone(), Request::new(n));
        }
    });
    assert_eq!(calls.count_total, 0);
    // The count would see an allocation.
    let marked = measure(|| drop(call(&mut service, Request::new(CALLS))));
    assert!(marked.count_total > 0);
}
