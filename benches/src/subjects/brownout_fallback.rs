//! Our fallback chains.

use brownout::fallback::{Cause, FallbackLayer};
use tower::Layer;

use super::backend::{Answering, Failing, Fault, configured};
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("fallback-untaken", Column::Brownout, || over(Answering)),
    Subject::service("fallback-taken", Column::Brownout, || over(Failing)),
];

/// A chain over a service: a closure answers where the service does not.
fn over<S>(primary: S) -> Box<dyn Drive>
where
    S: tower_service::Service<
            super::backend::Request,
            Response = super::backend::Response,
            Error = Fault,
            Future: Send,
        > + Clone
        + Send
        + 'static,
{
    let chain = FallbackLayer::for_results()
        .safe()
        .causes(|_: &Fault| Cause::failed("the backend failed"))
        .last("seven", |_| async { 7 });
    ServiceDrive::boxed(configured(chain).layer(primary))
}
