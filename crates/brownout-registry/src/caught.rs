//! Running user code that may panic. For the crates of this project only: the interface may change with any release.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code; nothing if it panics.
pub fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(payload) => {
            discard(payload);
            None
        }
    }
}

/// Writes to the log, whose subscriber is user code too: if it panics while another panic is on its way, that would not
/// be caught by anybody but end the process.
pub fn logged(write: impl FnOnce()) {
    if std::thread::panicking() {
        caught(write);
    } else {
        write();
    }
}

/// Drops what a panic carried. That is user code too: call this with no lock held.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // What its drop panicked with may panic as well, without end; leaked, it cannot.
        std::mem::forget(again);
    }
}
