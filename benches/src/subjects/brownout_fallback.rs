//! Our fallback chain, alone and over our breaker.

use brownout::breaker::CircuitBreakerLayer;
use brownout::fallback::{Cause, FallbackLayer};
use tower_layer::Layer;
use tower_service::Service;

use super::backend::{Answering, Failing, Fault, Request, Response, configured};
use super::brownout_breaker::circuit;
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive, Shape};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("fallback-untaken", Column::Brownout, || chain(Answering)),
    Subject::service("fallback-taken", Column::Brownout, || chain(Failing)),
    Subject::service("pair", Column::Brownout, || pair(Answering)),
    Subject::service("pair-open", Column::Brownout, || {
        let mut drive = pair(Failing);
        drive.run(Shape::Reused, 100);
        drive
    }),
];

fn chain<S>(primary: S) -> Box<dyn Drive>
where
    S: Service<Request, Response = Response, Error = Fault> + Clone + Send + 'static,
{
    let chain = FallbackLayer::for_results()
        .safe()
        .causes(|_: &Fault| Cause::failed("the backend failed"))
        .last("seven", |_| async { 7 });
    ServiceDrive::boxed(configured(chain).layer(primary))
}

/// Breaker with fallback, as the documentation shows it: the chain covers the breaker's dependency.
fn pair<S>(primary: S) -> Box<dyn Drive>
where
    S: Service<Request, Response = Response, Error = Fault> + Clone + Send + 'static,
{
    let circuit = circuit().build();
    let chain = FallbackLayer::for_results()
        .safe()
        .causes(|_: &Fault| Cause::failed("the backend failed"))
        .covering(circuit.dependency())
        .last("seven", |_| async { 7 });
    let guarded = CircuitBreakerLayer::with(circuit).for_results();
    ServiceDrive::boxed(configured(chain).layer(guarded.layer(primary)))
}
