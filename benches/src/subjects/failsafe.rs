//! failsafe's breaker, put under tower by the few lines that a user of it writes.

use std::iter::Repeat;
use std::task::{Context, Poll};
use std::time::Duration;

use failsafe::failure_policy::{ConsecutiveFailures, consecutive_failures};
use failsafe::futures::{CircuitBreaker, ResponseFuture};
use failsafe::{Any, Config, StateMachine, backoff};
use tower_service::Service;

use super::backend::{Answering, Failing, Request};
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive, Shape};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("breaker-consecutive", Column::Failsafe, closed),
    Subject::service("breaker-open", Column::Failsafe, open).failing(),
];

type Policy = ConsecutiveFailures<Repeat<Duration>>;

fn closed() -> Box<dyn Drive> {
    ServiceDrive::boxed(guarded(Answering))
}

fn open() -> Box<dyn Drive> {
    let mut drive = ServiceDrive::boxed(guarded(Failing));
    drive.run(Shape::Reused, 10);
    drive
}

fn guarded<S>(inner: S) -> Guarded<S> {
    let policy = consecutive_failures(5, backoff::constant(Duration::from_hours(1)));
    Guarded {
        inner,
        machine: Config::new().failure_policy(policy).build(),
    }
}

struct Guarded<S> {
    inner: S,
    machine: StateMachine<Policy, ()>,
}

impl<S: Clone> Clone for Guarded<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            machine: self.machine.clone(),
        }
    }
}

impl<S: Service<Request>> Service<Request> for Guarded<S> {
    type Response = S::Response;
    type Error = failsafe::Error<S::Error>;
    type Future = ResponseFuture<S::Future, Policy, (), Any>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner
            .poll_ready(context)
            .map_err(failsafe::Error::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answer = self.inner.call(request);
        self.machine.call(answer)
    }
}
