//! A tour of the fleet that does not come to its end: whatever it has started ends with it.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_tour_that_is_told_to_stop_leaves_nothing_behind() {
    let mut tour = Command::new(env!("CARGO_BIN_EXE_storefront"))
        .arg("fleet")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(tour.stdout.take().unwrap());
    let mut said = stdout.lines().map(Result::unwrap);
    assert!(said.any(|line| line.starts_with("a flag is switched off")));
    let id = tour.id();
    let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let children: Vec<String> = tasks
        .map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap())
        .flat_map(|ids| {
            ids.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        children.len(),
        4,
        "a Redis and three replicas: {children:?}"
    );

    let sent = Command::new("kill")
        .args(["-TERM", &id.to_string()])
        .status();
    assert!(sent.unwrap().success());
    let ended = tour.wait_with_output().unwrap();
    let error = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{error}");
    assert!(error.contains("told to stop"), "{error}");
    let start = Instant::now();
    for child in children {
        // Whoever adopts them may take a moment to bury them.
        while runs(Path::new("/proc").join(&child).as_path()) {
            assert!(start.elapsed() < LONG, "{child} still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether the process of this folder is alive; one that has ended may wait to be buried.
fn runs(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let state = status.lines().find(|line| line.starts_with("State:"));
    state.is_some_and(|state| !state.contains('Z'))
}
