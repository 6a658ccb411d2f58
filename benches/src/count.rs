//! Instructions a call, by callgrind.
//!
//! The report binary runs itself once more under `valgrind --tool=callgrind`, once for each subject and shape.
//! [`run_marked`] is what the second process does: it builds the subject, then enters `marked_region` with no work to
//! speak of, with few calls, and with many. Callgrind collects inside that one function only and writes a part at each
//! return, so that
//!
//! > instructions a call = (many − few) ÷ (calls in many − calls in few)
//!
//! is free of process start, of building the subject and of entering the loop. Each subject has a process of its own with
//! an empty environment, so a figure does not depend on which others were asked for, on the user's variables, or on
//! addresses (valgrind places memory itself). Symbols are bound before `main`.
//!
//! Why not gungraun, which does the same: it needs a runner of exactly its own version installed on every machine, and
//! keeps its own baselines where ours are a table of budgets.
//!
//! Under valgrind the clock is a system call, whose instructions the kernel keeps to itself: reading it counts for less
//! than it costs, for every subject alike. The time column shows what it really takes.

use std::ffi::OsStr;
use std::fs;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::drive::{Drive, Shape, runtime};
use crate::figure::{Figure, quotient};
use crate::subjects::Subject;

/// The function callgrind watches, as it prints it.
const REGION: &str = "brownout_benches::count::marked_region";

/// The calls of the warm-up, of the first and of the second reading.
const CALLS: [u64; 3] = [100, 1_000, 3_000];

/// Whether valgrind can be run here; asked once by the report, which then says so in every cell.
pub fn available() -> Result<(), String> {
    match valgrind()
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
    {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`valgrind --version` ended with {status}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("valgrind is not installed".to_owned())
        }
        Err(error) => Err(format!("valgrind cannot be run: {error}")),
    }
}

/// Instructions a call of `subject`, read by running `program` (which must call [`run_marked`] when it is given
/// `--marked <id> --shape <shape>`) under callgrind. `scratch` is a folder for its output.
pub fn measure(subject: &Subject, shape: Shape, program: &Path, scratch: &Path) -> Figure<u64> {
    if !subject.has(shape) {
        return Figure::Skipped;
    }
    match read(subject, shape, program, scratch) {
        Ok(instructions) => Figure::Known(instructions),
        Err(reason) => Figure::Unknown(reason),
    }
}

/// What the process under callgrind does.
pub fn run_marked(subject: &Subject, shape: Shape) {
    let _context = runtime().enter();
    let mut drive = subject.build();
    for calls in readings(subject) {
        marked_region(drive.as_mut(), black_box(shape), black_box(calls));
    }
}

/// Callgrind finds this function by its name; the loop inside is the subject's own.
#[inline(never)]
fn marked_region(drive: &mut dyn Drive, shape: Shape, calls: u64) {
    drive.run(shape, calls);
}

// A subject whose state grows has no calls to spare for a warm-up: building it was one.
fn readings(subject: &Subject) -> [u64; 3] {
    subject.span.map_or(CALLS, |span| [0, 0, span])
}

fn read(subject: &Subject, shape: Shape, program: &Path, scratch: &Path) -> Result<u64, String> {
    let name = format!("{}-{shape:?}", subject.id().replace('/', "-"));
    let output = scratch.join(&name);
    let run = valgrind()
        .arg("--tool=callgrind")
        .arg(joined("--callgrind-out-file=", &output))
        .arg(format!("--toggle-collect={REGION}"))
        .arg(format!("--dump-after={REGION}"))
        .arg(program)
        .args(["--marked", &subject.id(), "--shape", shape.name()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind cannot be run: {error}"))?;
    if !run.status.success() {
        let log = String::from_utf8_lossy(&run.stderr);
        let last = log.lines().last().unwrap_or("no message");
        return Err(format!("callgrind ended with {}: {last}", run.status));
    }

    let totals = (1..=3)
        .map(|part| total(&numbered(&output, part)))
        .collect::<Result<Vec<_>, _>>()?;
    let [_, few, many] = readings(subject);
    let instructions = totals[2].saturating_sub(totals[1]);
    Ok(rounded(quotient(instructions, many - few)))
}

fn valgrind() -> Command {
    let mut command = Command::new("valgrind");
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .env_clear()
        .env("PATH", path)
        .env("LD_BIND_NOW", "1");
    command
}

fn joined(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = OsStr::new(option).to_owned();
    argument.push(path);
    argument
}

fn numbered(output: &Path, part: u32) -> PathBuf {
    output.with_extension(part.to_string())
}

fn total(part: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(part).map_err(|error| {
        format!(
            "callgrind wrote no part {}: {error}; was `{REGION}` renamed or inlined?",
            part.display()
        )
    })?;
    parse_total(&text).ok_or_else(|| format!("{} holds no total", part.display()))
}

fn parse_total(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("totals:"))?
        .trim()
        .parse()
        .ok()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of instructions a call"
)]
fn rounded(instructions: f64) -> u64 {
    instructions.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_part_is_found() {
        let part = "version: 1\nevents: Ir\nfn=(1) main\n3 605\ntotals: 605\n";
        assert_eq!(parse_total(part), Some(605));
    }

    #[test]
    fn a_part_that_was_cut_short_has_no_total() {
        assert_eq!(parse_total("version: 1\nevents: Ir\n"), None);
    }
}
