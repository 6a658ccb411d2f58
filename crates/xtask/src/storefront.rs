//! The storefront's tour as a test of the safeguards: it succeeds with all of them and fails without any one.
//!
//! A tour that also passed without the breaker would prove nothing about the breaker.

use std::process::ExitStatus;

use crate::command::{Cmd, Failure, Workspace};
use crate::steps::Outcome;

/// What the tour can be run without. Each name is a value of its `--without`; each must be missed.
const SAFEGUARDS: &[&str] = &[
    "breaker",
    "fallback",
    "flag",
    "aggregate",
    "health",
    "degraded",
    "metrics",
    "probes",
];

/// The exit code of a tour that saw a promise broken. Others are accidents: 2 is a wrong argument, 101 a panic.
const PROMISE_BROKEN: i32 = 1;

pub(crate) fn check(workspace: &Workspace) -> Result<Outcome, Failure> {
    tour(workspace).run()?;
    for safeguard in SAFEGUARDS {
        println!("   without {safeguard} the tour has to fail:");
        let status = tour(workspace).args(["--without", safeguard]).status()?;
        judge(safeguard, status)?;
    }
    Ok(Outcome::Passed)
}

fn tour(workspace: &Workspace) -> Cmd {
    Cmd::cargo(workspace, "run --quiet -p storefront -- tour")
}

fn judge(safeguard: &str, status: ExitStatus) -> Result<(), Failure> {
    if status.code() == Some(PROMISE_BROKEN) {
        return Ok(());
    }
    if status.success() {
        return Err(Failure::new(format!(
            "the tour succeeds without {safeguard}, so it does not show what {safeguard} is good for"
        )));
    }
    Err(Failure::new(format!(
        "the tour without {safeguard} ended with {status} and not with code {PROMISE_BROKEN}: it did not run to its \
         verdict"
    )))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn a_broken_promise_is_what_the_tour_must_report() {
        assert!(judge("breaker", exited(1)).is_ok());
    }

    #[test]
    fn a_tour_that_succeeds_without_a_safeguard_fails_the_step() {
        let failure = judge("breaker", exited(0)).unwrap_err().to_string();
        assert!(failure.contains("succeeds without breaker"), "{failure}");
    }

    #[test]
    fn a_wrong_argument_or_a_panic_is_not_taken_for_a_broken_promise() {
        assert!(judge("breaker", exited(2)).is_err());
        assert!(judge("breaker", exited(101)).is_err());
    }

    #[test]
    fn a_tour_killed_by_a_signal_fails_the_step() {
        assert!(judge("breaker", ExitStatus::from_raw(9)).is_err());
    }
}
