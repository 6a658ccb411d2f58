//! A log that panics takes nothing with it. In a test binary of its own: tracing remembers for the whole process what
//! is enabled.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests panic on purpose, and where something is wrong"
)]

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use brownout::{
    Dependency, Registry,
    aggregate::{AggregateLayer, PartKey},
    breaker::{Circuit, CircuitBreakerLayer, KeyedCircuits, Policy},
    core::{BoxError, Rejected},
    fallback::{Failed, FallbackLayer},
    flag::{FlagLayer, Flags},
    registry::{CircuitState, EventKind, FeatureState, Status},
};
use tokio::time::advance;
use tower::{Layer, ServiceExt, service_fn};

struct Broken;

impl tracing::Subscriber for Broken {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }
    fn event(&self, event: &tracing::Event<'_>) {
        // The registry's own log goes through.
        let target = event.metadata().target();
        let own =
            ["breaker", "fallback", "flag", "aggregate"].map(|pattern| target.contains(pattern));
        assert!(!own.contains(&true), "the log is gone");
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

const OPEN_FOR: Duration = Duration::from_secs(5);

/// One failure opens, one good probe closes.
fn brittle() -> Policy {
    Policy::builder()
        .consecutive_failures(1)
        .open_for(OPEN_FOR)
        .jitter(0.0)
        .close_after(1, 1)
        .build()
        .unwrap()
}

fn dependency() -> Dependency {
    Registry::new().dependency("search").register().unwrap()
}

/// Makes a call that moves the circuit, and whose log panics for that.
fn with_a_broken_log(call: impl FnOnce() -> Result<(), Rejected>) {
    let logged = catch_unwind(AssertUnwindSafe(|| {
        let _broken = tracing::subscriber::set_default(Broken);
        call().unwrap();
    }));
    assert!(logged.is_err(), "the log was written to");
}

fn fail(circuit: &Circuit) -> Result<(), Rejected> {
    circuit.admit()?.failure();
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_family_counts_its_circuits_though_the_log_panics() {
    let dependency = dependency();
    let circuits = KeyedCircuits::<u32>::with(&dependency, brittle(), 16).unwrap();
    let circuit = circuits.overflow();
    for _ in 0..2 {
        with_a_broken_log(|| fail(&circuit));
        assert_eq!(dependency.status(), Status::Degraded);
        advance(circuit.stats().retry_after.unwrap()).await;
        with_a_broken_log(|| circuit.admit().map(drop));
        assert_eq!(dependency.status(), Status::Degraded);
        // That probe was lost with its log; there are other places.
        let probe = circuit.admit().unwrap();
        with_a_broken_log(|| {
            probe.success();
            Ok(())
        });
        assert_eq!(circuit.state(), CircuitState::Closed);
        assert_eq!(dependency.status(), Status::Healthy);
    }
    assert_eq!(events(&dependency), 6);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_reports_and_wakes_though_the_log_panics() {
    let dependency = dependency();
    let circuit = Circuit::builder(&dependency).policy(brittle()).build();
    with_a_broken_log(|| fail(&circuit));
    assert_eq!(dependency.status(), Status::Unhealthy);
    let waiting = CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .wait_while_open()
        .layer(service_fn(|(): ()| async { Ok::<_, BoxError>(()) }));
    advance(OPEN_FOR).await;
    // All probes are out, so the call has to wait for the circuit to close.
    let probes: Vec<_> = (0..3).map(|_| circuit.admit().unwrap()).collect();
    let call = tokio::spawn(waiting.oneshot(()));
    tokio::task::yield_now().await;
    assert!(!call.is_finished());
    let mut probes = probes.into_iter();
    with_a_broken_log(|| {
        probes.next().unwrap().success();
        Ok(())
    });
    assert_eq!(dependency.status(), Status::Healthy);
    tokio::task::yield_now().await;
    assert!(call.is_finished(), "it was woken");
    call.await.unwrap().unwrap();
    assert_eq!(events(&dependency), 3);
}

#[tokio::test(start_paused = true)]
async fn a_chain_tells_the_registry_though_the_log_panics() {
    let dependency = dependency();
    let layer = FallbackLayer::for_results()
        .safe()
        .covering(&dependency)
        .tier_fn("rules", |_: Failed<bool>| async { Ok::<_, BoxError>(()) })
        .build()
        .unwrap();
    let chain = layer.chain();
    with_a_broken_log(|| {
        chain.switch_off("rules").unwrap();
        Ok(())
    });
    with_a_broken_log(|| {
        chain.switch_on("rules").unwrap();
        Ok(())
    });
    let service = layer.layer(service_fn(|fails: bool| async move {
        if fails {
            Err(BoxError::from("down"))
        } else {
            Ok(())
        }
    }));
    let call = |fails| {
        let call = service.clone().oneshot(fails);
        || {
            let answer = pin!(call).poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(answer, Poll::Ready(Ok(()))));
            Ok(())
        }
    };
    with_a_broken_log(call(true));
    advance(Duration::from_secs(10)).await;
    with_a_broken_log(call(false));
    let events = dependency.registry().recent_events();
    let of_chain = events.iter().filter(|event| {
        matches!(
            event.kind,
            EventKind::TierSwitched { .. }
                | EventKind::FallbackServed { .. }
                | EventKind::FallbackEnded { .. }
        )
    });
    assert_eq!(of_chain.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_aggregate_tells_the_registry_though_the_log_panics() {
    struct Recs;
    impl PartKey for Recs {
        type Value = u32;
        const NAME: &'static str = "recommendations";
    }
    let dependency = dependency();
    let part = service_fn(|fails: bool| async move {
        if fails {
            Err(BoxError::from("down"))
        } else {
            Ok(7)
        }
    });
    let page = AggregateLayer::for_results::<bool>()
        .optional(Recs, part)
        .covering(&dependency)
        .into_service()
        .unwrap();
    let call = |fails| {
        let call = page.clone().oneshot(fails);
        || {
            let answer = pin!(call).poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(answer, Poll::Ready(Ok(_))));
            Ok(())
        }
    };
    with_a_broken_log(call(true));
    advance(Duration::from_secs(10)).await;
    with_a_broken_log(call(false));
    let events = dependency.registry().recent_events();
    let of_parts = events.iter().filter(|event| {
        matches!(
            event.kind,
            EventKind::PartMissing { .. } | EventKind::PartReturned { .. }
        )
    });
    assert_eq!(of_parts.count(), 2);
}

/// Polls a call whose service panics, with a log that panics when it is told of what follows from that.
fn panic_with_a_broken_log(call: impl Future) {
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let _broken = tracing::subscriber::set_default(Broken);
        let _ = pin!(call).poll(&mut Context::from_waker(Waker::noop()));
    }));
    let told = ended.unwrap_err();
    assert_eq!(told.downcast_ref(), Some(&"the service is gone"));
}

/// A second panic while the first is on its way would end the process, and this test with it.
#[tokio::test(start_paused = true)]
async fn a_service_and_a_log_that_panic_together_end_no_process() {
    async fn gone(_: u32) -> Result<u32, BoxError> {
        panic!("the service is gone")
    }
    let dependency = dependency();
    let circuit = Circuit::builder(&dependency).policy(brittle()).build();
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_results();
    panic_with_a_broken_log(layer.layer(service_fn(gone)).oneshot(1));
    assert_eq!(circuit.state(), CircuitState::Open);

    let flags = Flags::new(&dependency.registry());
    let flag = flags.builder("ml_recs").errors(1).build().unwrap();
    let layer = FlagLayer::for_results(flag.clone());
    panic_with_a_broken_log(layer.layer(service_fn(gone)).oneshot(1));
    assert_eq!(flag.state(), FeatureState::Degraded);
}

/// How many transitions the registry has heard of.
fn events(dependency: &Dependency) -> usize {
    let events = dependency.registry().recent_events();
    let of_circuits = events.iter().filter(|event| {
        matches!(
            event.kind,
            EventKind::CircuitOpened { .. }
                | EventKind::CircuitHalfOpened { .. }
                | EventKind::CircuitClosed { .. }
        )
    });
    of_circuits.count()
}
