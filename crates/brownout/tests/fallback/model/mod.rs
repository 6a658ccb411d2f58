//! Random chains beside a slow, obvious model of what the documentation says: who answers, when, with what mark; who
//! was asked; what the registry hears; how each tier does.
//!
//! The model ([`spec`]) and the code are two readings of one text; where they disagree, one of them has misread it.
//! What the model has found is kept in `regressions.rs`. `PROPTEST_CASES` sets how many cases are tried.

mod case;
mod outside;
mod real;
mod spec;
mod wiring;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use self::case::case;

#[test]
fn the_chain_does_what_the_model_says() {
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 3_000;
    }
    config.failure_persistence = None;
    let result = TestRunner::new(config).run(&case(), |case| {
        let expected = spec::run(&case);
        let seen = real::run(&case);
        for (n, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
            prop_assert_eq!(seen, expected, "call {} of {:#?}", n, case);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// What can be seen of one call and of everything else when it is over. All times are in milliseconds.
#[derive(Debug, PartialEq)]
struct Seen {
    /// None where the caller has left.
    answer: Option<Result<u32, Wrong>>,
    took: u64,
    /// Whether the primary was asked for readiness.
    polled: bool,
    /// How often each was called.
    called: [usize; 4],
    mark: Option<Mark>,
    /// What closures were told, and who has failed when.
    told: Vec<(&'static str, Vec<Fail>)>,
    events: Vec<String>,
    /// Only of chains that have a handle.
    tiers: Vec<TierSeen>,
    statuses: [&'static str; 3],
    level: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
enum Wrong {
    Says(String),
    Refused,
    Unreachable,
    Exhausted(Vec<Fail>),
}

#[derive(Clone, Debug, PartialEq)]
struct Fail {
    who: &'static str,
    kind: &'static str,
    elapsed: Option<u64>,
}

#[derive(Debug, PartialEq)]
struct Mark {
    dependency: Option<String>,
    tier: String,
    reason: &'static str,
    level: &'static str,
}

#[derive(Debug, PartialEq)]
struct TierSeen {
    on: bool,
    status: &'static str,
    answered: u64,
    failed: u64,
    last_failure: Option<&'static str>,
}

/// By place: the primary and the tiers.
const NAMES: [&str; 4] = ["primary", "a", "b", "c"];

/// The dependency that a chain may cover, another one, and one on which no level depends.
const DEPENDENCIES: [&str; 3] = ["search", "other", "copies"];

/// What the closure of `exhausted_with` answers.
const NOBODY: u32 = 42;
