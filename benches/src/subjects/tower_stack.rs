//! tower's own layers.

use std::future::Ready;
use std::time::Duration;

use tower::ServiceBuilder;
use tower::retry::Policy;

use super::backend::{Answering, Fault, Request, Response};
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("timeout", Column::Tower, timeout),
    Subject::service("retry", Column::Tower, retry),
    Subject::service("load-shed", Column::Tower, load_shed),
    Subject::service("concurrency-limit", Column::Tower, concurrency_limit),
];

fn timeout() -> Box<dyn Drive> {
    ServiceDrive::boxed(
        ServiceBuilder::new()
            .timeout(Duration::from_secs(1))
            .service(Answering),
    )
}

fn retry() -> Box<dyn Drive> {
    ServiceDrive::boxed(ServiceBuilder::new().retry(Twice(2)).service(Answering))
}

fn load_shed() -> Box<dyn Drive> {
    ServiceDrive::boxed(ServiceBuilder::new().load_shed().service(Answering))
}

fn concurrency_limit() -> Box<dyn Drive> {
    ServiceDrive::boxed(
        ServiceBuilder::new()
            .concurrency_limit(64)
            .service(Answering),
    )
}

/// Retries what failed, so many times; the request is copied beforehand, as every real policy does.
#[derive(Debug, Clone)]
struct Twice(u32);

impl Policy<Request, Response, Fault> for Twice {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request,
        result: &mut Result<Response, Fault>,
    ) -> Option<Self::Future> {
        if result.is_ok() {
            return None;
        }
        self.0 = self.0.checked_sub(1)?;
        Some(std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(*request)
    }
}
