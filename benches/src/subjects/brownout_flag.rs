//! Our feature flag.

use brownout::flag::{Flag, FlagLayer, Flags};
use brownout_registry::Registry;
use tower_layer::Layer;

use super::backend::{Answering, configured};
use super::{Column, Subject};
use crate::drive::{Drive, OpDrive, ServiceDrive};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("flag-enabled", Column::Brownout, enabled),
    Subject::operation("flag-state", Column::Brownout, state),
];

fn enabled() -> Box<dyn Drive> {
    ServiceDrive::boxed(FlagLayer::for_results(flag()).layer(Answering))
}

fn state() -> Box<dyn Drive> {
    let flag = flag();
    OpDrive::boxed(move || flag.state())
}

fn flag() -> Flag {
    // A seed, so that every process makes the same choices.
    let registry = configured(Registry::builder().seed(1).build());
    configured(Flags::new(&registry).flag("recommendations"))
}
