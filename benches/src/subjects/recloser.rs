//! recloser's breaker, put under tower by the few lines that a user of it writes.

use std::task::{Context, Poll};
use std::time::Duration;

use recloser::{AnyError, AsyncRecloser, Recloser, RecloserFuture};
use tower_service::Service;

use super::backend::{Answering, Failing, Fault, Request, Response};
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive, Shape};

/// The calls its ring holds, which is also how many it must see before it judges.
const RING: u64 = 100;

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("breaker-count", Column::Recloser, closed),
    Subject::service("breaker-open", Column::Recloser, open).failing(),
];

fn closed() -> Box<dyn Drive> {
    let mut drive = ServiceDrive::boxed(guarded(Answering));
    drive.run(Shape::Reused, 2 * RING);
    drive
}

fn open() -> Box<dyn Drive> {
    let mut drive = ServiceDrive::boxed(guarded(Failing));
    drive.run(Shape::Reused, 2 * RING);
    drive
}

fn guarded<S>(inner: S) -> Guarded<S> {
    let recloser = Recloser::custom()
        .error_rate(0.5)
        .closed_len(100)
        .open_wait(Duration::from_hours(1))
        .build();
    Guarded {
        inner,
        recloser: AsyncRecloser::from(recloser),
    }
}

#[derive(Debug, Clone)]
struct Guarded<S> {
    inner: S,
    recloser: AsyncRecloser,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response, Error = Fault>,
{
    type Response = Response;
    type Error = recloser::Error<Fault>;
    type Future = RecloserFuture<S::Future, AnyError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner
            .poll_ready(context)
            .map_err(recloser::Error::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let answer = self.inner.call(request);
        self.recloser.call(answer)
    }
}
