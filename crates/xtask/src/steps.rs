//! What `cargo xtask test` checks, in order: what fails fastest comes first.
//!
//! Each combination of profile, flags and features is a build of its own, so a step shares one with its neighbours
//! where it can.

use crate::command::{Cmd, Failure, Workspace};
use crate::manifest;
use crate::rules;
use crate::servers;

/// One thing that the project promises, and how it is checked.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) promise: &'static str,
    /// Whether `cargo xtask lint` runs it too.
    pub(crate) lint: bool,
    pub(crate) check: fn(&Workspace) -> Result<Outcome, Failure>,
}

/// How a step that did not fail ended. The summary names every step that did not pass as a whole.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// A part could not be checked on this machine; the rest passed.
    InPart(String),
}

pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        promise: "the code is formatted",
        lint: true,
        check: fmt,
    },
    Step {
        name: "clippy",
        promise: "no warning, in code, tests, examples and benches",
        lint: true,
        check: clippy,
    },
    Step {
        name: "rules",
        promise: "the architecture's rules on who may import whom",
        lint: true,
        check: rules::check,
    },
    Step {
        name: "test",
        promise: "all tests, documentation examples among them",
        lint: false,
        check: test,
    },
    Step {
        name: "servers",
        promise: "a newer Redis and a Valkey pass the tests of the fleet's store, but those over TLS",
        lint: false,
        check: servers::check,
    },
    Step {
        name: "features",
        promise: "each published crate builds by itself, with each of its features alone",
        lint: false,
        check: features,
    },
    Step {
        name: "loom",
        promise: "every interleaving of the lock-free parts",
        lint: false,
        check: loom,
    },
    Step {
        name: "doc",
        promise: "the documentation builds and its links lead somewhere",
        lint: true,
        check: doc,
    },
    Step {
        name: "deny",
        promise: "licences, sources, duplicates and advisories of all dependencies",
        lint: true,
        check: deny,
    },
    Step {
        name: "bench",
        promise: "instruction and allocation budgets are kept",
        lint: false,
        check: bench,
    },
];

/// The report that `cargo xtask bench` runs as a whole, and `test` in part.
pub(crate) const BENCH_REPORT: &str = "run --profile bench -p brownout-benches --bin report --";

fn fmt(workspace: &Workspace) -> Result<Outcome, Failure> {
    passes(Cmd::cargo(workspace, "fmt --all --check"))
}

fn clippy(workspace: &Workspace) -> Result<Outcome, Failure> {
    passes(Cmd::cargo(
        workspace,
        "clippy --workspace --all-targets --all-features -- -D warnings",
    ))
}

fn test(workspace: &Workspace) -> Result<Outcome, Failure> {
    passes(Cmd::cargo(workspace, "test --workspace --all-features"))
}

/// A workspace build gives each crate the features that its neighbours asked for; only a crate built by itself shows
/// one that is missing.
fn features(workspace: &Workspace) -> Result<Outcome, Failure> {
    for package in manifest::published(workspace)? {
        let check = || Cmd::cargo(workspace, "check --no-default-features -p").arg(&package.name);
        check().run()?;
        for feature in &package.features {
            check().args(["--features", feature]).run()?;
        }
    }
    Ok(Outcome::Passed)
}

fn loom(workspace: &Workspace) -> Result<Outcome, Failure> {
    // Optimised, because loom runs a test once an interleaving; in a folder of its own, because the flag would
    // otherwise rebuild everything twice.
    let command = Cmd::cargo(workspace, "test -p brownout --release --lib loom::")
        .arg("--target-dir")
        .arg(workspace.target.join("loom"))
        .flags("RUSTFLAGS", "--cfg brownout_loom");
    passes(command)
}

fn doc(workspace: &Workspace) -> Result<Outcome, Failure> {
    let command = Cmd::cargo(workspace, "doc --workspace --all-features --no-deps");
    passes(command.flags("RUSTDOCFLAGS", "-D warnings"))
}

fn deny(workspace: &Workspace) -> Result<Outcome, Failure> {
    Cmd::cargo(workspace, "deny --all-features check bans licenses sources").run()?;
    // What users build is held to more: in it no crate comes in two versions.
    Cmd::cargo(
        workspace,
        "deny --all-features --exclude-unpublished --exclude-dev check --deny duplicate bans",
    )
    .run()?;
    // Fetching apart from checking tells a database that cannot be reached from an advisory.
    if !Cmd::cargo(workspace, "deny fetch db").status()?.success() {
        return Ok(Outcome::InPart(
            "advisories are not checked: their database cannot be fetched".to_owned(),
        ));
    }
    passes(Cmd::cargo(
        workspace,
        "deny --all-features --offline check advisories",
    ))
}

fn bench(workspace: &Workspace) -> Result<Outcome, Failure> {
    // What is the same on every run, of our own layers: neither times nor what the peers cost can fail a test.
    passes(Cmd::cargo(workspace, BENCH_REPORT).args(["--check", "--filter", "/brownout"]))
}

fn passes(command: Cmd) -> Result<Outcome, Failure> {
    command.run().map(|()| Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_names_of_their_own() {
        let mut names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn lint_runs_no_test() {
        let lint: Vec<&str> = STEPS
            .iter()
            .filter(|step| step.lint)
            .map(|step| step.name)
            .collect();
        assert_eq!(lint, ["fmt", "clippy", "rules", "doc", "deny"]);
    }
}
