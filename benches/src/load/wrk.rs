//! Load, by `wrk`: connections that are kept, each asking again as soon as it is answered.

use std::io::{self, Read as _};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// One thread, because one core is left beside the server's; enough connections to keep the server busy throughout.
const ARGUMENTS: [&str; 6] = [
    "--threads=1",
    "--connections=16",
    "--timeout=1s",
    "--duration=1s",
    "--header",
    "Accept: text/plain",
];

/// How long the one second may take, whatever the machine is doing.
const PATIENCE: Duration = Duration::from_secs(4);

/// Whether it can be run here.
pub(super) fn available() -> Result<(), String> {
    // It answers `--version` with its name and a failure.
    let asked = Command::new("wrk")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.map(drop).map_err(|error| unstarted(&error))
}

/// What came of one second of load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Answered {
    pub(super) requests: f64,
    pub(super) per_second: f64,
}

/// Puts a second of load on `uri`.
pub(super) fn load(uri: &str) -> Result<Answered, String> {
    let mut wrk = Command::new("wrk")
        .args(ARGUMENTS)
        .arg(uri)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| unstarted(&error))?;
    let ended = within(PATIENCE, &mut wrk);
    // What it prints is a dozen lines, which a pipe holds: it never waits for them to be read.
    let mut printed = String::new();
    let mut complained = String::new();
    if let (Some(out), Some(err)) = (&mut wrk.stdout, &mut wrk.stderr) {
        let read = out
            .read_to_string(&mut printed)
            .and_then(|_| err.read_to_string(&mut complained));
        read.map_err(|error| format!("wrk's output cannot be read: {error}"))?;
    }
    if ended? {
        return parse(&printed);
    }
    let why = last_line(&complained).or(last_line(&printed));
    Err(format!(
        "wrk failed: {}",
        why.unwrap_or("it did not say why")
    ))
}

/// What a report says in its last lines, unless something else than success was counted.
fn parse(report: &str) -> Result<Answered, String> {
    let lines = || report.lines().map(str::trim);
    if let Some(wrong) =
        lines().find(|line| line.starts_with("Socket errors:") || line.starts_with("Non-2xx"))
    {
        return Err(format!("wrk counted more than answers: {wrong}"));
    }
    let requests = lines()
        .find_map(|line| line.split_once(" requests in "))
        .and_then(|(requests, _)| positive(requests));
    let per_second = lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))
        .and_then(positive);
    match (requests, per_second) {
        (Some(requests), Some(per_second)) => Ok(Answered {
            requests,
            per_second,
        }),
        _ => Err("wrk's report names no requests, or none per second".to_owned()),
    }
}

fn positive(figure: &str) -> Option<f64> {
    let figure: f64 = figure.trim().parse().ok()?;
    (figure.is_finite() && figure > 0.0).then_some(figure)
}

// Whether it succeeded. It is ended by its handle when it takes too long.
fn within(patience: Duration, child: &mut Child) -> Result<bool, String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if start.elapsed() < patience => thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                end(child);
                return Err(format!("wrk did not end within {patience:?}"));
            }
            Err(error) => {
                end(child);
                return Err(format!("wrk cannot be waited for: {error}"));
            }
        }
    }
}

/// Ends a child of ours and forgets it; one that has ended already is none to be ended.
pub(super) fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn unstarted(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        "wrk is not installed".to_owned()
    } else {
        format!("wrk cannot be run: {error}")
    }
}

fn last_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).rfind(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
Running 1s test @ http://127.0.0.1:41573/
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   182.68us   88.18us   2.85ms   93.57%
    Req/Sec    87.62k     3.65k   91.31k    81.82%
  95889 requests in 1.10s, 11.16MB read
Requests/sec:  87183.08
Transfer/sec:     10.14MB
";

    #[test]
    fn requests_and_their_rate_are_found_in_a_report() {
        assert_eq!(
            parse(REPORT),
            Ok(Answered {
                requests: 95_889.0,
                per_second: 87_183.08
            })
        );
    }

    #[test]
    fn a_report_of_anything_but_success_is_no_reading() {
        for wrong in [
            "  Socket errors: connect 0, read 12, write 0, timeout 0\n",
            "  Non-2xx or 3xx responses: 95889\n",
        ] {
            let report = REPORT.replace("Requests/sec", &format!("{wrong}Requests/sec"));
            let why = parse(&report).expect_err("something went wrong");
            assert!(why.contains(wrong.trim()), "{why}");
        }
    }

    #[test]
    fn garbage_is_no_reading() {
        let rate = |rate: &str| REPORT.replace("87183.08", rate);
        let requests = |requests: &str| REPORT.replace("95889", requests);
        for garbage in [
            String::new(),
            "\u{0}\u{fffd}\n\n".to_owned(),
            "Requests/sec: 9.0".to_owned(),
            REPORT.replace("Requests/sec", "requests/sec"),
            REPORT
                .split("Requests/sec")
                .next()
                .unwrap_or_default()
                .to_owned(),
            rate(""),
            rate("many"),
            rate("nan"),
            rate("inf"),
            rate("-1.0"),
            rate("0.00"),
            requests("0"),
            requests("no"),
            requests("-7"),
        ] {
            assert!(parse(&garbage).is_err(), "{garbage:?}");
        }
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let mut hanging = Command::new("sleep").arg("60").spawn().expect("can sleep");
        let why = within(Duration::from_millis(20), &mut hanging).expect_err("it sleeps");
        assert!(why.contains("did not end"), "{why}");
        assert!(matches!(hanging.try_wait(), Ok(Some(_))), "it still runs");
    }
}
