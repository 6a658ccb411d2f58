//! Running programs: shown as they could be typed, and never through a shell.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Why a task stopped, as a sentence for the person who reads the last line of the log.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// The checkout that the tasks work on.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Where cargo builds, so that builds with other flags can have a folder of their own beside it.
    pub(crate) target: PathBuf,
}

/// A program with its arguments, to be run in the workspace's root.
#[derive(Debug)]
pub(crate) struct Cmd {
    command: Command,
    shown: String,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Workspace {
    /// The workspace that holds this package.
    pub(crate) fn find() -> Result<Self, Failure> {
        // Cargo tells a program it runs where its package is; the path known at build time goes stale when a checkout
        // is moved together with its target folder.
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package
            .ancestors()
            .nth(2)
            .filter(|root| root.join("Cargo.lock").is_file())
            .ok_or_else(|| {
                Failure::new(format!(
                    "{} is not in the workspace's crates/; run `cargo xtask` inside the checkout",
                    package.display()
                ))
            })?
            .to_path_buf();
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Self { root, target })
    }

    /// The text of a file, named from the root.
    pub(crate) fn read(&self, file: impl AsRef<Path>) -> Result<String, Failure> {
        let path = self.root.join(file);
        std::fs::read_to_string(&path)
            .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
    }
}

impl Cmd {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        Self {
            command: Command::new(program),
            shown: quoted(program),
        }
    }

    /// The cargo that runs this task, in the workspace's root; `args` are separated by spaces.
    pub(crate) fn cargo(workspace: &Workspace, args: &str) -> Self {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&workspace.root);
        let cargo = Self {
            command,
            shown: "cargo".to_owned(),
        };
        cargo.args(args.split_whitespace())
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.shown.push(' ');
        self.shown.push_str(&quoted(arg.as_ref()));
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<I: IntoIterator<Item: AsRef<OsStr>>>(self, args: I) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.shown = format!("{key}={} {}", quoted(value.as_ref()), self.shown);
        self.command.env(key, value);
        self
    }

    /// Adds to flags that the caller's environment may already hold.
    pub(crate) fn flags(self, key: &str, flags: &str) -> Self {
        let all = match env::var(key) {
            Ok(given) if !given.trim().is_empty() => format!("{given} {flags}"),
            _ => flags.to_owned(),
        };
        self.env(key, all)
    }

    /// Shows the command, runs it, and fails unless it succeeds.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let shown = self.shown.clone();
        let status = self.status()?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::new(format!("`{shown}` ended with {status}")))
        }
    }

    /// Shows the command and runs it, whatever it answers.
    pub(crate) fn status(mut self) -> Result<ExitStatus, Failure> {
        println!("   $ {}", self.shown);
        self.command
            .status()
            .map_err(|error| self.unstarted(&error))
    }

    /// Runs the command quietly for what it prints.
    pub(crate) fn output(mut self) -> Result<String, Failure> {
        let output = self
            .command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| self.unstarted(&error))?;
        if !output.status.success() {
            return Err(Failure::new(format!(
                "`{}` ended with {}",
                self.shown, output.status
            )));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn unstarted(&self, error: &std::io::Error) -> Failure {
        Failure::new(format!("`{}` could not be started: {error}", self.shown))
    }
}

/// Where a program is, among the folders of `PATH` and those where cargo looks for its own subcommands.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    env::split_paths(&path)
        .chain(cargo_home.map(|home| home.join("bin")))
        .map(|folder| folder.join(format!("{name}{}", env::consts::EXE_SUFFIX)))
        .find(|candidate| candidate.is_file())
}

fn quoted(arg: &OsStr) -> String {
    let text = OsString::from(arg).to_string_lossy().into_owned();
    if text.is_empty() || text.contains([' ', '"', '\'', '$']) {
        format!("'{}'", text.replace('\'', r"'\''"))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_could_be_typed() {
        let command = Cmd::new("cargo")
            .args(["test", "--test", "loom"])
            .env("RUSTFLAGS", "--cfg brownout_loom");
        assert_eq!(
            command.shown,
            "RUSTFLAGS='--cfg brownout_loom' cargo test --test loom"
        );
    }

    #[test]
    fn a_program_that_fails_is_a_failure_that_names_it() {
        let failure = Cmd::new("false").run().unwrap_err().to_string();
        assert!(failure.starts_with("`false` ended with"), "{failure}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_a_failure_that_names_it() {
        let failure = Cmd::new("no-such-program").run().unwrap_err().to_string();
        assert!(
            failure.starts_with("`no-such-program` could not be started"),
            "{failure}"
        );
    }
}
