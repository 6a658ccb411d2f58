//! What the log of a single call learns, for those who listen so closely.

use tracing::{Level, Span, level_filters::LevelFilter};

/// Whether anybody listens to single calls: one load.
#[inline]
pub(crate) fn is_traced() -> bool {
    Level::TRACE <= LevelFilter::current()
}

/// Records on the current span that its answer is less than it could be, by whom or for want of what; where the span
/// has such a field. Without a subscriber this is one load.
#[inline]
pub(crate) fn degraded(by: &str) {
    if LevelFilter::current() != LevelFilter::OFF {
        record(by);
    }
}

#[cold]
fn record(by: &str) {
    Span::current().record("degraded", by);
    tracing::trace!(degraded = by, "answer degraded");
}
