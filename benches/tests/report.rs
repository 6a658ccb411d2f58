//! The report as it is run: what it prints, writes and returns.
#![allow(clippy::expect_used, reason = "a test stops where its set-up fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::Duration;

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

#[test]
fn what_a_budget_leans_on_is_measured_with_it() {
    let out = folder("leaning");
    let filter = "breaker-window-metrics/brownout";
    let output = report(&[
        "--check",
        "--filter",
        filter,
        "--out",
        &out.to_string_lossy(),
    ]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("measuring breaker-window/brownout"), "{said}");
    assert!(!said.contains("left out of this run"), "{said}");
}

#[test]
fn a_server_answers_until_whoever_started_it_is_gone() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--serve", "whole"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server can be started");
    let mut uri = String::new();
    BufReader::new(server.stdout.take().expect("is piped"))
        .read_line(&mut uri)
        .expect("the server tells its address");
    let address = uri
        .trim()
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("the server reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the server answers");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    drop(server.stdin.take());
    assert!(ended(&mut server).is_some_and(|status| status.success()));
}

/// How a process ended, which is ended by force after a while: another process has no clock that could be paused.
fn ended(child: &mut Child) -> Option<ExitStatus> {
    for _ in 0..1_000 {
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("a child can be ended");
    child.wait().expect("it ends");
    None
}

#[test]
fn a_route_that_does_not_exist_is_not_served() {
    let output = report(&["--serve", "half"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no route is called `half`"));
}

/// The report's row of served requests, with this script in the place of the load.
#[cfg(unix)]
fn served(name: &str, script: &str) -> (Output, serde_json::Value) {
    use std::os::unix::fs::PermissionsExt as _;

    let out = folder(name);
    fs::create_dir_all(&out).expect("a folder can be made");
    let wrk = out.join("wrk");
    fs::write(&wrk, format!("#!/bin/sh\n{script}\n")).expect("a script can be written");
    fs::set_permissions(&wrk, fs::Permissions::from_mode(0o755)).expect("it can be run");
    let output = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--rows", "served", "--out"])
        .arg(&out)
        .env("PATH", &out)
        .output()
        .expect("the report can be started");
    let json = fs::read_to_string(out.join("report.json")).expect("the JSON was written");
    (output, serde_json::from_str(&json).expect("it is JSON"))
}

#[cfg(unix)]
#[test]
fn servers_are_loaded_in_rounds_and_what_they_keep_is_reported() {
    let (output, json) = served(
        "served",
        "echo '2100 requests in 1.05s'; echo 'Requests/sec: 2000.25'",
    );
    assert!(output.status.success());
    let markdown = String::from_utf8_lossy(&output.stdout);
    assert!(
        markdown.contains("timeout alone | 2,000 | 100.0 % (100.0–100.0 %) |"),
        "{markdown}"
    );
    assert_eq!(json["served"]["rounds"], 15);
    let bare = &json["served"]["routes"][0];
    assert_eq!(bare["rate"]["median"], 2_000.25);
    // Servers that nobody asked took no time, of which there is no share.
    assert!(bare["processor"]["not_measured"].is_string(), "{json}");
}

#[cfg(unix)]
#[test]
fn a_load_that_cannot_be_read_is_no_figure_and_no_failure() {
    for (name, script, why) in [
        (
            "garbage",
            "echo garbage",
            "wrk's report names no requests, or none per second",
        ),
        (
            "refused",
            "echo 'unable to connect' >&2; exit 1",
            "wrk failed: unable to connect",
        ),
        (
            "errors",
            "echo 'Non-2xx or 3xx responses: 7'; echo 'Requests/sec: 9.0'",
            "wrk counted more than answers: Non-2xx or 3xx responses: 7",
        ),
    ] {
        let (output, json) = served(name, script);
        assert!(output.status.success(), "{name}");
        assert_eq!(json["served"]["not_measured"], why);
        assert!(
            String::from_utf8_lossy(&output.stdout).contains(why),
            "{name}"
        );
    }
}

#[test]
fn without_a_load_tool_the_report_says_so_and_goes_on() {
    let out = folder("without-wrk");
    let output = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--rows", "served", "--out"])
        .arg(&out)
        .env("PATH", "")
        .output()
        .expect("the report can be started");
    assert!(output.status.success());
    let markdown = String::from_utf8_lossy(&output.stdout);
    assert!(
        markdown.contains("requests a second not measured: wrk is not installed"),
        "{markdown}"
    );
}

#[test]
fn without_a_redis_the_report_says_so_and_goes_on() {
    let out = folder("without-redis");
    let output = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--rows", "fleet", "--out"])
        .arg(&out)
        .env("PATH", "")
        .output()
        .expect("the report can be started");
    assert!(output.status.success());
    let markdown = String::from_utf8_lossy(&output.stdout);
    assert!(
        markdown.contains("1,000 replicas not measured: redis-server is not installed"),
        "{markdown}"
    );
    let json = fs::read_to_string(out.join("report.json")).expect("the JSON was written");
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["fleet"][0]["replicas"], 1_000);
    assert_eq!(
        json["fleet"][0]["heard"]["not_measured"],
        "redis-server is not installed"
    );
}

#[test]
fn a_check_tells_no_fleet() {
    let output = report(&["--check", "--rows", "fleet"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing is left to measure"));
}

#[test]
fn a_check_puts_no_server_under_load() {
    let output = report(&["--check", "--rows", "served"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing is left to measure"));
}
