//! Our stack of four, as the documentation orders it: a fallback over a flag over a breaker over tower's timeout.
//!
//! Its budget is what it costs *beyond* that timeout, the one layer of the four that is not ours: a timer of its own is
//! most of what the timeout costs, and nothing here could lower it.

use std::time::Duration;

use brownout::breaker::CircuitBreakerLayer;
use brownout::fallback::FallbackLayer;
use brownout::flag::{FlagLayer, Flags};
use tower::ServiceBuilder;

use super::backend::{Answering, configured};
use super::brownout_breaker::circuit;
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive};

pub(super) const SUBJECTS: &[Subject] = &[Subject::service("stack", Column::Brownout, stack)];

/// Everything at its default but the breaker's circuit, which is that of the breaker's own rows. The timeout turns the
/// error into a `BoxError`, which all layers above it take as it is.
fn stack() -> Box<dyn Drive> {
    let circuit = circuit().build();
    let flags = Flags::new(&circuit.dependency().registry());
    let flag = configured(flags.flag("recommendations"));
    let chain = FallbackLayer::for_results()
        .safe()
        .covering(circuit.dependency())
        .last("seven", |_| async { 7 });
    let service = ServiceBuilder::new()
        .layer(configured(chain))
        .layer(FlagLayer::for_results(flag))
        .layer(CircuitBreakerLayer::with(circuit).for_results())
        .timeout(Duration::from_secs(1))
        .service(Answering);
    ServiceDrive::boxed(service)
}
