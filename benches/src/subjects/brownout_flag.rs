//! Our feature flag.

use brownout::flag::{FlagLayer, Flags};
use brownout_registry::Registry;
use tower_layer::Layer;

use super::backend::{Answering, configured};
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive};

pub(super) const SUBJECTS: &[Subject] =
    &[Subject::service("flag-enabled", Column::Brownout, enabled)];

fn enabled() -> Box<dyn Drive> {
    // A seed, so that every process makes the same choices.
    let registry = configured(Registry::builder().seed(1).build());
    let flag = configured(Flags::new(&registry).flag("recommendations"));
    ServiceDrive::boxed(FlagLayer::for_results(flag).layer(Answering))
}
