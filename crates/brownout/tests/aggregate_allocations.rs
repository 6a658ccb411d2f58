//! What a call allocates whose parts are ready: nothing, in a tuple; one cell, in a request's extensions.
//!
//! A test binary of its own, because it counts the allocations of its thread.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use brownout::aggregate::{AggregateLayer, PartKey};
use tower::{Service, service_fn};

const CALLS: u32 = 100;

macro_rules! keys {
    ($($key:ident $name:literal)*) => {$(
        struct $key;

        impl PartKey for $key {
            type Value = u32;
            const NAME: &'static str = $name;
        }
    )*};
}

keys!(A "a" B "b" C "c" D "d" E "e");

type Answer = Ready<Result<u32, Infallible>>;

fn part() -> impl Service<u32, Response = u32, Error = Infallible, Future = Answer> + Clone {
    service_fn(|n: u32| ready(Ok(n)))
}

fn call<S: Service<Req>, Req>(service: &mut S, request: Req) -> Option<S::Response> {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut cx).is_ready());
    match pin!(service.call(request)).poll(&mut cx) {
        Poll::Ready(output) => output.ok(),
        Poll::Pending => unreachable!("these futures are ready at once"),
    }
}

#[test]
fn five_ready_parts_allocate_nothing() {
    let registry = brownout::Registry::new();
    let recs = registry.dependency("recs").register().unwrap();
    let second = std::time::Duration::from_secs(1);
    let mut service = AggregateLayer::for_results::<u32>()
        .part(A, part())
        .timeout(second)
        .part(B, part())
        .optional(C, part())
        .covering(&recs)
        .optional(D, part())
        .or(3)
        .optional(E, part())
        .within(second)
        .into_service()
        .unwrap();
    let reused = measure(|| {
        for n in 0..CALLS {
            let (a, ..) = call(&mut service, n).unwrap().into_values();
            assert_eq!(a, n);
        }
    });
    let cloned = measure(|| {
        for n in 0..CALLS {
            drop(call(&mut service.clone(), n));
        }
    });
    assert_eq!((reused.count_total, cloned.count_total), (0, 0));
}

#[cfg(feature = "http")]
#[test]
fn in_extensions_five_ready_parts_allocate_their_cell_and_what_extensions_do_themselves() {
    use brownout::aggregate::PartValues;
    use http::{Request, Response};
    use tower::Layer;

    let layer = AggregateLayer::for_http()
        .part(A, part())
        .asking(|_| 1)
        .part(B, part())
        .asking(|_| 2)
        .optional(C, part())
        .asking(|_| 3)
        .optional(D, part())
        .asking(|_| 4)
        .optional(E, part())
        .asking(|_| 5)
        .build()
        .unwrap();
    let mut service = layer.layer(service_fn(|request: Request<()>| {
        let parts: &PartValues = request.extensions().get().unwrap();
        ready(Ok::<_, Infallible>(Response::new(
            parts.value::<B>().unwrap(),
        )))
    }));
    // Extensions box what they hold, and their map when the first thing is put into it.
    let extensions = measure(|| {
        for _ in 0..CALLS {
            let mut request = Request::new(());
            request.extensions_mut().insert(vec![1_u64]);
            drop(request);
        }
    });
    let seen = measure(|| {
        for _ in 0..CALLS {
            drop(call(&mut service, Request::new(())));
        }
    });
    // The vector of the control has an allocation of its own, and so has the cell.
    assert_eq!(seen.count_total, extensions.count_total);
}
