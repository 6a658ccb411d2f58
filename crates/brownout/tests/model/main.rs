//! Circuits under random operations, beside a slow and obvious model of what the documentation says.
//!
//! The model and the code are two readings of one text; where they disagree, one of them has misread it. What the model
//! has found so far is kept in `tests/regressions.rs`. `PROPTEST_CASES` sets how many cases each property tries.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets the unexpected should stop there"
)]

mod any_policy;
mod exact;
mod keyed;
mod lone;
mod ops;
mod orders;
mod randomness;
mod reference;
mod rules;
mod side_by_side;
mod tally;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, TestCaseError, TestRunner},
};

/// Tries so many cases, unless the environment asks for another number.
///
/// Nothing is written to files: a failure is shrunk, and kept as a test with a name.
fn check<S: Strategy>(
    cases: u32,
    strategy: S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config.failure_persistence = None;
    if let Err(error) = TestRunner::new(config).run(&strategy, property) {
        panic!("{error}");
    }
}

/// Runs the future to its end on a clock that only moves when it is told to.
fn paused<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}
