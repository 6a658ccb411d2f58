//! tower-resilience's breaker, fallback and a stack of four of its layers.

use std::time::Duration;

use tower::ServiceBuilder;
use tower_resilience_bulkhead::BulkheadLayer;
use tower_resilience_circuitbreaker::{
    CircuitBreakerConfigBuilder, CircuitBreakerLayer, SlidingWindowType,
};
use tower_resilience_fallback::FallbackLayer;
use tower_resilience_timelimiter::TimeLimiterLayer;
use tower_service::Service;

use super::backend::{Answering, Failing, Fault, Request, Response, configured};
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive, Shape};

/// Its time window keeps a record of every call, so each measured call makes the next one dearer. So few are made on one
/// instance that their mean is the cost at the size that the row names.
const SPAN: u64 = 20;

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("breaker-consecutive", Column::TowerResilience, consecutive),
    Subject::service("breaker-count", Column::TowerResilience, count_window),
    Subject::service("breaker-window", Column::TowerResilience, || {
        time_window(100)
    })
    .spanning(SPAN),
    Subject::service("breaker-window-1000", Column::TowerResilience, || {
        time_window(1_000)
    })
    .spanning(SPAN),
    Subject::service("breaker-window-10000", Column::TowerResilience, || {
        time_window(10_000)
    })
    .spanning(SPAN),
    Subject::service("breaker-open", Column::TowerResilience, open).failing(),
    Subject::service("fallback-untaken", Column::TowerResilience, || {
        fallback(Answering)
    }),
    Subject::service("fallback-taken", Column::TowerResilience, || {
        fallback(Failing)
    }),
    Subject::service("pair", Column::TowerResilience, || {
        pair(
            circuit()
                .sliding_window_type(SlidingWindowType::TimeBased)
                .sliding_window_duration(Duration::from_hours(1)),
            Answering,
        )
    })
    .spanning(SPAN),
    Subject::service("pair-open", Column::TowerResilience, pair_open),
    Subject::service("stack", Column::TowerResilience, stack),
];

fn consecutive() -> Box<dyn Drive> {
    breaker(circuit().consecutive_failures(5), Answering)
}

fn count_window() -> Box<dyn Drive> {
    breaker(circuit(), Answering)
}

fn time_window(holding: u64) -> Box<dyn Drive> {
    let circuit = circuit()
        .sliding_window_type(SlidingWindowType::TimeBased)
        .sliding_window_duration(Duration::from_hours(1));
    let mut drive = breaker(circuit, Answering);
    drive.run(Shape::Reused, holding - SPAN / 2);
    drive
}

fn open() -> Box<dyn Drive> {
    let mut drive = breaker(circuit(), Failing);
    drive.run(Shape::Reused, 200);
    drive
}

fn fallback<S>(inner: S) -> Box<dyn Drive>
where
    S: Service<Request, Response = Response, Error = Fault> + Clone + Send + 'static,
    S::Future: Send,
{
    let layer = FallbackLayer::<Request, Response, Fault>::value_fn(|| 7);
    ServiceDrive::boxed(ServiceBuilder::new().layer(layer).service(inner))
}

fn pair<S>(circuit: CircuitBreakerConfigBuilder, inner: S) -> Box<dyn Drive>
where
    S: Service<Request, Response = Response, Error = Fault> + Clone + Send + 'static,
    S::Future: Send,
{
    ServiceDrive::boxed(
        ServiceBuilder::new()
            .layer(FallbackLayer::value_fn(|| 7))
            .layer(configured(circuit.build()))
            .service(inner),
    )
}

fn pair_open() -> Box<dyn Drive> {
    let mut drive = pair(circuit(), Failing);
    drive.run(Shape::Reused, 200);
    drive
}

fn stack() -> Box<dyn Drive> {
    let service = ServiceBuilder::new()
        .layer(FallbackLayer::value_fn(|| 7))
        .layer(configured(circuit().build()))
        .layer(configured(
            BulkheadLayer::builder().max_concurrent_calls(64).build(),
        ))
        .layer(
            TimeLimiterLayer::builder()
                .timeout_duration(Duration::from_secs(1))
                .build(),
        )
        .service(Answering);
    ServiceDrive::boxed(service)
}

fn breaker<S>(circuit: CircuitBreakerConfigBuilder, inner: S) -> Box<dyn Drive>
where
    S: Service<Request, Response = Response, Error = Fault> + Clone + Send + 'static,
    S::Future: Send,
{
    ServiceDrive::boxed(
        ServiceBuilder::new()
            .layer(configured(circuit.build()))
            .service(inner),
    )
}

fn circuit() -> CircuitBreakerConfigBuilder {
    CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(100)
        .minimum_number_of_calls(20)
        .wait_duration_in_open(Duration::from_hours(1))
}
