//! Measures, prints the table, writes it as Markdown and JSON, and fails when a budget is missed.
//!
//! Exit codes: 0, all budgets are kept; 1, one is missed, or `--check` could not measure one; 2, it was called wrongly
//! or its files cannot be written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use brownout_benches::budget::PATHS;
use brownout_benches::drive::Shape;
use brownout_benches::measure::{Callgrind, Plan, Run};
use brownout_benches::subjects::{self, Column, Subject};
use brownout_benches::{budget, count, fleet, gate, json, load, table};
use clap::Parser;

/// What a call costs: our layers beside the peers.
#[derive(Debug, Parser)]
#[command(name = "report")]
struct Options {
    /// Only what is the same on every run: instructions and allocations. Fails also where they cannot be measured.
    #[arg(long)]
    check: bool,
    /// Only subjects whose `row/column` contains this text.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Only these rows, by name, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    rows: Vec<String>,
    /// Print the names of rows and subjects, and measure nothing.
    #[arg(long)]
    list: bool,
    /// The folder for report.md and report.json.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    out: PathBuf,
    /// Used by the report itself: run one subject under callgrind.
    #[arg(long, value_name = "ID", hide = true, requires = "shape")]
    marked: Option<String>,
    /// Used by the report itself, with `--marked`.
    #[arg(long, value_name = "SHAPE", hide = true)]
    shape: Option<String>,
    /// Used by the report itself: be the server under load, until standard input ends.
    #[arg(long, value_name = "NAME", hide = true)]
    serve: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = if let Some(id) = &options.marked {
        marked(id, options.shape.as_deref().unwrap_or_default())
    } else if let Some(name) = &options.serve {
        serve(name)
    } else if options.list {
        list();
        Ok(ExitCode::SUCCESS)
    } else {
        report(&options)
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}

fn marked(id: &str, shape: &str) -> Result<ExitCode, String> {
    let subject = subjects::find(id).ok_or_else(|| format!("no subject is called `{id}`"))?;
    let shape = Shape::ALL
        .into_iter()
        .find(|known| known.name() == shape)
        .ok_or_else(|| format!("no shape is called `{shape}`"))?;
    count::run_marked(subject, shape);
    Ok(ExitCode::SUCCESS)
}

fn serve(name: &str) -> Result<ExitCode, String> {
    let routes = load::routes(name).ok_or_else(|| format!("no route is called `{name}`"))?;
    load::serve(routes).map_err(|error| format!("the server cannot serve: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

fn list() {
    for path in PATHS {
        println!("{} ({})", path.id, path.title);
        for subject in subjects::all().filter(|subject| subject.path == path.id) {
            println!("    {}", subject.id());
        }
    }
    println!("{} ({})", load::ROW, load::TITLE);
    println!("{} ({})", fleet::ROW, fleet::TITLE);
}

fn report(options: &Options) -> Result<ExitCode, String> {
    let wanted = Wanted::of(options)?;
    let plan = Plan {
        deterministic: options.check,
        callgrind: callgrind(&options.out),
    };
    let progress = |doing: &str| eprintln!("measuring {doing}");
    let mut run = Run::new(&wanted.subjects, &plan, progress);
    if let Ok(Callgrind { scratch, .. }) = &plan.callgrind {
        // What is left behind is only untidy: no later run reads it.
        let _ = fs::remove_dir_all(scratch);
    }
    if wanted.load {
        progress(load::TITLE);
        run = run.with_served(load::measure(&this_program()?));
    }
    if wanted.fleet {
        progress(fleet::TITLE);
        run = run.with_fleet(fleet::measure());
    }
    let findings = gate::findings(&run);

    let markdown = table::markdown(&run, &findings);
    let json = json::text(&run, &findings)
        .map_err(|error| format!("the report cannot be written as JSON: {error}"))?;
    fs::create_dir_all(&options.out)
        .map_err(|error| format!("{}: {error}", options.out.display()))?;
    write(&options.out.join("report.md"), &markdown)?;
    write(&options.out.join("report.json"), &json)?;
    println!("{markdown}");

    for finding in &findings {
        eprintln!("{finding}");
    }
    let failed = findings
        .iter()
        .any(|finding| finding.missed || options.check);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What is measured in one run.
struct Wanted {
    subjects: Vec<&'static Subject>,
    load: bool,
    fleet: bool,
}

impl Wanted {
    /// What was asked for by row and by name, and what the budgets of that lean on.
    fn of(options: &Options) -> Result<Self, String> {
        for row in &options.rows {
            if row != load::ROW && row != fleet::ROW && budget::find(row).is_none() {
                return Err(format!("no row is called `{row}`; `--list` names them all"));
            }
        }
        let row = |row: &str| options.rows.is_empty() || options.rows.iter().any(|one| one == row);
        let name = |id: &str| options.filter.as_ref().is_none_or(|text| id.contains(text));
        let asked = |subject: &Subject| row(subject.path) && name(&subject.id());
        let leans: Vec<_> = subjects::all()
            .filter(|subject| subject.column == Column::Brownout && asked(subject))
            .filter_map(|subject| budget::find(subject.path)?.budget.instructions?.leans_on())
            .collect();
        let wanted = Self {
            subjects: subjects::all()
                .filter(|subject| asked(subject) || leans.contains(&subject.id().as_str()))
                .collect(),
            load: !options.check && row(load::ROW) && name(load::ROW),
            fleet: !options.check && row(fleet::ROW) && name(fleet::ROW),
        };
        if wanted.subjects.is_empty() && !wanted.load && !wanted.fleet {
            return Err(
                "nothing is left to measure; `--list` names every row and subject".to_owned(),
            );
        }
        Ok(wanted)
    }
}

fn callgrind(out: &Path) -> Result<Callgrind, String> {
    count::available()?;
    let program = this_program()?;
    // Of this process alone: a part that an earlier run left there must not be taken for this one's.
    let scratch = out.join(format!("callgrind-{}", std::process::id()));
    fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    Ok(Callgrind { program, scratch })
}

fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
