//! seatbelt's breaker and fallback, as the tower services that its `tower-service` feature makes of them.

use std::time::Duration;

use seatbelt::breaker::Breaker;
use seatbelt::fallback::Fallback;
use seatbelt::{RecoveryInfo, ResilienceContext};
use tick::Clock;
use tower_layer::Layer;
use tower_service::Service;

use super::backend::{Answering, Failing, Fault, Request, Response};
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive, Shape, runtime};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("breaker-window", Column::Seatbelt, closed),
    Subject::service("breaker-open", Column::Seatbelt, open).failing(),
    Subject::service("fallback-untaken", Column::Seatbelt, untaken),
    Subject::service("fallback-taken", Column::Seatbelt, taken),
    Subject::service("pair", Column::Seatbelt, || pair(Answering)),
    Subject::service("pair-open", Column::Seatbelt, pair_open),
];

type Outcome = Result<Response, Fault>;

fn closed() -> Box<dyn Drive> {
    ServiceDrive::boxed(breaker(Answering))
}

fn open() -> Box<dyn Drive> {
    let mut drive = ServiceDrive::boxed(breaker(Failing));
    drive.run(Shape::Reused, 100);
    drive
}

fn untaken() -> Box<dyn Drive> {
    ServiceDrive::boxed(fallback(Answering))
}

fn taken() -> Box<dyn Drive> {
    ServiceDrive::boxed(fallback(Failing))
}

fn pair<S>(inner: S) -> Box<dyn Drive>
where
    S: Service<Request, Response = Response, Error = Fault> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    ServiceDrive::boxed(fallback(breaker(inner)))
}

fn pair_open() -> Box<dyn Drive> {
    let mut drive = pair(Failing);
    drive.run(Shape::Reused, 100);
    drive
}

fn breaker<S>(
    inner: S,
) -> impl Service<Request, Response = Response, Error = Fault, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static
where
    S: Service<Request, Response = Response, Error = Fault> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    Breaker::layer("breaker", &context())
        .recovery_with(|outcome: &Outcome, _| match outcome {
            Ok(_) => RecoveryInfo::never(),
            Err(_) => RecoveryInfo::retry(),
        })
        .rejected_input_error(|_, _| Fault::Refused)
        .failure_threshold(0.5)
        .min_throughput(20)
        .sampling_duration(Duration::from_secs(10))
        .break_duration(Duration::from_hours(1))
        .layer(inner)
}

fn fallback<S>(inner: S) -> impl Service<Request> + Clone + Send + 'static
where
    S: Service<Request, Response = Response, Error = Fault> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    Fallback::layer("fallback", &context())
        .should_fallback(|outcome: &Outcome| outcome.is_err())
        .fallback(|_, _| Ok(7))
        .layer(inner)
}

fn context() -> ResilienceContext<Request, Outcome> {
    let _runtime = runtime().enter();
    ResilienceContext::new(Clock::new_tokio())
}
