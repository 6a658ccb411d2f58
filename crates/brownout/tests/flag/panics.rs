//! Panics, wherever they come from: those of the service are its failures, those of a classifier are not.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Poll, Waker},
};

use brownout::{
    core::{BoxError, Verdict},
    flag::FlagLayer,
    registry::FeatureState::{Degraded, Enabled},
};
use brownout_testing::Behaviour;
use tower::{Layer, Service};

use crate::common::{MINUTE, exact_in, flag, flagged, impose, probe, registry};

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_inner_service_is_a_failure_wherever_it_happens() {
    let flag = flag();
    for behaviour in [
        Behaviour::panic_in_call(),
        Behaviour::panic_in_poll(),
        Behaviour::panic_in_poll().yielding(3),
        Behaviour::panic_in_call(),
        Behaviour::panic_in_poll(),
    ] {
        assert_eq!(flag.state(), Enabled);
        let (service, inner) = probe();
        inner.next(behaviour);
        let call = tokio::spawn(flagged(&flag, service).oneshot(1));
        assert!(call.await.unwrap_err().is_panic());
        assert_eq!(inner.counts().in_flight, 0);
    }
    assert_eq!(flag.state(), Degraded);
    assert_eq!(flag.stats().totals.abandoned, 0);
}

/// Panics when it is asked for readiness.
struct Unready;

impl Service<u32> for Unready {
    type Response = u32;
    type Error = BoxError;
    type Future = std::future::Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        panic!("asked for readiness");
    }

    fn call(&mut self, request: u32) -> Self::Future {
        std::future::ready(Ok(request))
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_readiness_is_a_failure_on_either_path() {
    for imposed in [false, true] {
        let registry = registry();
        let flag = exact_in(&registry).build().unwrap();
        if imposed {
            impose(&registry, Enabled, MINUTE);
        }
        let mut service = FlagLayer::for_results(flag.clone()).layer(Unready);
        for _ in 0..5 {
            let polled = catch_unwind(AssertUnwindSafe(|| {
                service.poll_ready(&mut Context::from_waker(Waker::noop()))
            }));
            assert!(polled.is_err());
        }
        assert_eq!(flag.stats().totals.failures, 5);
        tokio::time::advance(MINUTE).await;
        assert_eq!(flag.state(), Degraded);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_classifier_blames_nobody() {
    let flag = flag();
    let layer = FlagLayer::for_results(flag.clone())
        .classify(|_: Result<&u32, &BoxError>| -> Verdict { panic!("cannot judge") });
    for _ in 0..10 {
        let call = tokio::spawn(layer.layer(probe().0).oneshot(1));
        assert!(call.await.unwrap_err().is_panic());
    }
    assert_eq!(flag.state(), Enabled);
    assert_eq!(flag.stats().totals.abandoned, 10);
}
