//! Our fallback chain.

use brownout::fallback::{Cause, FallbackLayer};
use tower_layer::Layer;
use tower_service::Service;

use super::backend::{Answering, Failing, Fault, Request, Response, configured};
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("fallback-untaken", Column::Brownout, || chain(Answering)),
    Subject::service("fallback-taken", Column::Brownout, || chain(Failing)),
];

// Errors are values without data, so they say by themselves what they mean, without a text to be allocated.
fn chain<S>(primary: S) -> Box<dyn Drive>
where
    S: Service<Request, Response = Response, Error = Fault> + Clone + Send + 'static,
    S::Future: Send,
{
    let layer = FallbackLayer::for_results()
        .safe()
        .causes(|_: &Fault| Cause::failed("the backend failed"))
        .last("constant", |_| std::future::ready(7));
    ServiceDrive::boxed(configured(layer).layer(primary))
}
