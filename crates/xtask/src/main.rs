//! The project's tasks: `cargo xtask test | lint | bench`.
//!
//! `test` checks everything the project promises and is what CI runs; `lint` is the part of it that needs no test to
//! run; `bench` measures. What is checked is listed in `steps`, what has to be installed for it in `install`.

mod command;
mod install;
mod manifest;
mod rules;
mod runner;
mod servers;
mod steps;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use crate::command::{Cmd, Failure, Workspace};
use crate::steps::{STEPS, Step};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The project's tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Checks everything the project promises; installs what that needs
    Test(Selection),
    /// Checks format, lints, architecture, documentation and dependencies
    Lint,
    /// Measures our layers beside their peers; arguments go to the report
    Bench {
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGS"
        )]
        args: Vec<OsString>,
    },
}

#[derive(Args)]
struct Selection {
    /// Runs this step alone; may be given more than once
    #[arg(long, value_name = "STEP", value_parser = step_names())]
    only: Vec<String>,
    /// Lists the steps and runs none
    #[arg(long)]
    list: bool,
}

impl Selection {
    fn takes(&self, step: &Step) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == step.name)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match perform(&cli.task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: &Task) -> Result<(), Failure> {
    let workspace = Workspace::find()?;
    match task {
        Task::Test(selection) if selection.list => {
            runner::list(STEPS);
            Ok(())
        }
        Task::Test(selection) => {
            let chosen: Vec<&Step> = STEPS.iter().filter(|step| selection.takes(step)).collect();
            runner::run("test", &chosen, &workspace)
        }
        Task::Lint => {
            let chosen: Vec<&Step> = STEPS.iter().filter(|step| step.lint).collect();
            runner::run("lint", &chosen, &workspace)
        }
        Task::Bench { args } => bench(&workspace, args),
    }
}

fn bench(workspace: &Workspace, args: &[OsString]) -> Result<(), Failure> {
    let mut needs = vec!["bench"];
    needs.extend(timed(args));
    install::ensure_for(&needs)?;
    let mut report = Cmd::cargo(workspace, steps::BENCH_REPORT);
    for arg in args {
        report = report.arg(arg);
    }
    report.run()
}

/// What the report needs for the rows that have servers of their own: it measures those unless it is told of other rows,
/// or to measure nothing that takes time.
fn timed(args: &[OsString]) -> impl Iterator<Item = &'static str> {
    let args = || args.iter().map(|arg| arg.to_string_lossy());
    let quiet = args().any(|arg| matches!(&*arg, "--check" | "--list" | "--help" | "-h"));
    let narrowed = args().any(|arg| arg.starts_with("--rows") || arg.starts_with("--filter"));
    let asked = move |row: &str| !quiet && (!narrowed || args().any(|arg| arg.contains(row)));
    let rows = [("served", install::LOAD), ("fleet", install::FLEET)];
    let needs = rows.into_iter().filter(move |(row, _)| asked(row));
    needs.map(|(_, needs)| needs)
}

fn step_names() -> PossibleValuesParser {
    PossibleValuesParser::new(STEPS.iter().map(|step| step.name))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn only_takes_the_names_of_steps() {
        assert!(Cli::try_parse_from(["xtask", "test", "--only", "clippy"]).is_ok());
        assert!(Cli::try_parse_from(["xtask", "test", "--only", "clipy"]).is_err());
    }

    #[test]
    fn load_and_server_are_installed_only_for_a_report_that_uses_them() {
        let needs = |args: &[&str]| {
            let args: Vec<_> = args.iter().map(OsString::from).collect();
            timed(&args).collect::<Vec<_>>()
        };
        let both = [install::LOAD, install::FLEET];
        assert_eq!(needs(&[]), both);
        assert_eq!(needs(&["--out", "elsewhere"]), both);
        assert_eq!(needs(&["--rows", "fleet,served"]), both);
        assert_eq!(needs(&["--rows", "bare,served"]), [install::LOAD]);
        assert_eq!(needs(&["--rows=fleet"]), [install::FLEET]);
        for none in ["--rows=bare", "--filter=/seatbelt", "--check", "--list"] {
            assert!(needs(&[none]).is_empty(), "{none}");
        }
    }

    #[test]
    fn what_follows_bench_goes_to_the_report_as_it_is() {
        let cli = Cli::try_parse_from(["xtask", "bench", "--check", "--rows", "breaker"]).unwrap();
        let Task::Bench { args } = cli.task else {
            unreachable!("`bench` was asked for")
        };
        assert_eq!(args, ["--check", "--rows", "breaker"]);
    }
}
