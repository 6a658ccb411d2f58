//! How a flag speaks: to the log and to the event stream.

use std::sync::Arc;

use crate::core::{Cause, logged};
use brownout_registry::{EventKind, FeatureState};
use tracing::{Level, level_filters::LevelFilter};

use super::{
    parts::Change,
    shared::{Shared, Why},
};

/// The name under which flags of this crate appear as a provider.
const PROVIDER: &str = "brownout";

pub(super) fn changed(shared: &Shared, change: Change) {
    shared.changes.add(change.cause);
    shared.outside.registry.record(EventKind::FlagChanged {
        flag: Arc::clone(&shared.name),
        from: change.from,
        to: change.to,
        cause: change.cause,
    });
    let (flag, reason) = (&*shared.name, change.cause.as_str());
    let (from, to) = (change.from.as_str(), change.to.as_str());
    logged(|| {
        if change.to > change.from {
            tracing::warn!(flag, from, to, reason, "flag changed");
        } else {
            tracing::info!(flag, from, to, reason, "flag changed");
        }
    });
}

/// Whether anybody listens to evaluations: one load.
#[inline]
pub(super) fn is_listened_to() -> bool {
    Level::DEBUG <= LevelFilter::current()
}

/// Says what one call was told, in the words of OpenTelemetry's semantic conventions (`feature_flag.evaluation`).
///
/// Where none of their reasons fits, the conventions allow others: what an operator, the errors of calls, a ramp or the
/// system's level decided has names of our own.
#[cold]
pub(super) fn evaluated(flag: &str, variant: FeatureState, why: Why) {
    let reason = match why {
        Why::Default => "default",
        Why::Configured => "static",
        Why::Errors(_) => "errors",
        Why::Ramp(_) => "ramp",
        Why::Level => "level",
        Why::Imposed(_) => "override",
    };
    tracing::debug!(
        feature_flag.key = flag,
        feature_flag.result.variant = variant.as_str(),
        feature_flag.result.reason = reason,
        feature_flag.provider.name = PROVIDER,
        "feature_flag.evaluation"
    );
}

/// Tells whoever wonders why a call that failed did not go on to the degraded service.
#[cold]
pub(super) fn not_asked(flag: &str, cause: &Cause) {
    tracing::debug!(
        flag,
        cause = cause.kind().as_str(),
        "degraded service not asked: the request may be a write that was sent, or its body was not kept"
    );
}
