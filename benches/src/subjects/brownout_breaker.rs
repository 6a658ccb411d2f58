//! Our circuit breaker.

use std::num::NonZeroU32;
use std::time::Duration;

use brownout::breaker::{Circuit, CircuitBreakerLayer, CircuitBuilder, Policy, PolicyBuilder};
use brownout::core::{Fail, Rejected};
use brownout::metrics::Metrics;
use brownout_registry::Registry;
use metrics_exporter_prometheus::PrometheusBuilder;
use tower_layer::Layer;
use tower_service::Service;

use super::backend::{Answering, Failing, Fault, Request, Response, configured};
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive, Shape};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("breaker-consecutive", Column::Brownout, consecutive),
    Subject::service("breaker-count", Column::Brownout, count_window),
    Subject::service("breaker-window", Column::Brownout, || time_window(100)),
    Subject::service("breaker-window-1000", Column::Brownout, || {
        time_window(1_000)
    }),
    Subject::service("breaker-window-10000", Column::Brownout, || {
        time_window(10_000)
    }),
    Subject::service("breaker-window-failure", Column::Brownout, || failing(8)).failing(),
    Subject::service("breaker-window-failure-64", Column::Brownout, || {
        failing(64)
    })
    .failing(),
    Subject::service("breaker-window-slow", Column::Brownout, slow),
    Subject::service("breaker-window-coarse", Column::Brownout, coarse),
    Subject::service("breaker-window-metrics", Column::Brownout, metered),
    Subject::service("breaker-open", Column::Brownout, open).failing(),
    Subject::service("breaker-open-boxed", Column::Brownout, open_boxed).failing(),
];

/// Our refusals keep the service's error type, so the service says what a refusal is in it.
impl From<Rejected> for Fault {
    fn from(_: Rejected) -> Self {
        Self::Refused
    }
}

fn consecutive() -> Box<dyn Drive> {
    let five = NonZeroU32::new(5).unwrap_or(NonZeroU32::MIN);
    guarded(
        circuit().policy(Policy::consecutive(five)).build(),
        Answering,
    )
}

fn count_window() -> Box<dyn Drive> {
    let policy = configured(policy().window_of_calls(100).build());
    let mut drive = guarded(circuit().policy(policy).build(), Answering);
    drive.run(Shape::Reused, 200);
    drive
}

fn time_window(holding: u64) -> Box<dyn Drive> {
    let mut drive = guarded(circuit().build(), Answering);
    drive.run(Shape::Reused, holding);
    drive
}

// Every call fails and every failure is judged, but the successes that the window holds for an hour keep the circuit
// closed.
fn failing(stripes: usize) -> Box<dyn Drive> {
    let policy = policy()
        .failure_ratio(1.0)
        .no_consecutive_failures()
        .window(Duration::from_hours(1));
    let circuit = circuit()
        .policy(configured(policy.build()))
        .stripes(stripes)
        .build();
    for _ in 0..100 {
        configured(circuit.admit()).success();
    }
    guarded(circuit, Failing)
}

fn slow() -> Box<dyn Drive> {
    let policy = configured(policy().slow_calls(Duration::from_secs(1), 0.5).build());
    guarded(circuit().policy(policy).build(), Answering)
}

fn coarse() -> Box<dyn Drive> {
    guarded(circuit().coarse_clock().build(), Answering)
}

// With an exporter installed, as in production. It is fed from time to time and not by calls, whatever it is: what a call
// pays for is its time.
fn metered() -> Box<dyn Drive> {
    // Another subject of this process may have installed one already.
    let _ = PrometheusBuilder::new().install_recorder();
    let circuit = circuit().build();
    let metrics = Metrics::new(&circuit.dependency().registry());
    let mut drive = guarded(circuit, Answering);
    drive.run(Shape::Reused, 100);
    metrics.collect();
    drive
}

fn open() -> Box<dyn Drive> {
    let mut drive = guarded(circuit().build(), Failing);
    drive.run(Shape::Reused, 100);
    drive
}

fn open_boxed() -> Box<dyn Drive> {
    let layer = CircuitBreakerLayer::with(circuit().build())
        .for_results()
        .reject(Fail);
    let mut drive = ServiceDrive::boxed(layer.layer(Failing));
    drive.run(Shape::Reused, 100);
    drive
}

fn guarded<S>(circuit: Circuit, inner: S) -> Box<dyn Drive>
where
    S: Service<Request, Response = Response, Error = Fault> + Clone + Send + 'static,
{
    ServiceDrive::boxed(
        CircuitBreakerLayer::with(circuit)
            .for_results()
            .layer(inner),
    )
}

pub(super) fn circuit() -> CircuitBuilder {
    // A seed, so that every process makes the same choices.
    let registry = configured(Registry::builder().seed(1).build());
    let dependency = configured(registry.dependency("inventory").register());
    Circuit::builder(&dependency).policy(configured(policy().build()))
}

fn policy() -> PolicyBuilder {
    Policy::builder()
        .open_for(Duration::from_hours(1))
        .open_for_at_most(Duration::from_hours(1))
}
