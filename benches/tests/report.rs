//! The report as it is run: what it prints, writes and returns.
#![allow(clippy::expect_used, reason = "a test stops where its set-up fails")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn report(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_report"))
        .args(arguments)
        .output()
        .expect("the report can be started")
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn the_list_names_rows_and_subjects_and_measures_nothing() {
    let output = report(&["--list"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    assert!(
        text.contains("breaker-open (breaker open, rejected)"),
        "{text}"
    );
    assert!(text.contains("    breaker-open/seatbelt"), "{text}");
}

#[test]
fn a_row_that_does_not_exist_is_refused_by_name() {
    let output = report(&["--rows", "bare,beraker-open"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no row is called `beraker-open`"));
}

#[test]
fn a_filter_that_leaves_nothing_is_refused() {
    let output = report(&["--filter", "no such subject"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing is left to measure"));
}

#[test]
fn a_check_writes_the_table_and_its_json_and_times_nothing() {
    let out = folder("check");
    let output = report(&[
        "--check",
        "--filter",
        "bare/floor",
        "--out",
        &out.to_string_lossy(),
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let markdown = fs::read_to_string(out.join("report.md")).expect("the table was written");
    assert!(markdown.contains("| bare inner service |"), "{markdown}");
    let json = fs::read_to_string(out.join("report.json")).expect("the JSON was written");
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["readings"][0]["allocations"], 0.0);
    assert!(json["readings"][0]["time"].is_null());
    if brownout_benches::count::available().is_ok() {
        // A region that was renamed or inlined would be found here.
        assert!(json["readings"][0]["instructions"].is_number(), "{json}");
    }
}

#[test]
fn without_valgrind_the_table_says_so_and_goes_on() {
    let out = folder("without-valgrind");
    let output = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--check", "--filter", "bare/floor", "--out"])
        .arg(&out)
        .env("PATH", "")
        .output()
        .expect("the report can be started");
    assert!(output.status.success());
    let markdown = String::from_utf8_lossy(&output.stdout);
    assert!(
        markdown.contains("instructions not measured: valgrind is not installed"),
        "{markdown}"
    );
    assert!(markdown.contains("| ? · 0 ·"), "{markdown}");
}
