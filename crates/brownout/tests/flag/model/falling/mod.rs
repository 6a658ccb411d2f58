//! A flag that falls through under random calls, beside a slow and obvious model of the chapter's table: who is asked,
//! who answers, with what mark, and what counts.

mod case;
mod real;
mod spec;

use brownout::registry::FeatureState;
use proptest::{prelude::*, test_runner::Config};

use self::case::Millis;

/// What is seen of a call when it is over.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    end: End,
    took: Millis,
    mark: Option<String>,
    state: FeatureState,
    counted: Counted,
}

#[derive(Clone, Debug, PartialEq)]
enum End {
    Answer(u32),
    Error(String),
    Panic,
    Left,
}

/// Totals since the beginning: what the flag counts, and how often each service was called.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counted {
    successes: u64,
    failures: u64,
    abandoned: u64,
    service: usize,
    degraded: usize,
}

#[test]
fn a_flag_that_falls_through_does_what_its_documentation_says() {
    let mut config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 1_000;
    }
    proptest!(config, |(case in case::case())| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(real::both(&case))?;
    });
}
