//! The one table: a row for each path and shape, a column for each crate, our budget beside our figures.

use std::fmt::Write as _;

use crate::budget::{Budget, Ceiling, Floor, PATHS, Path};
use crate::drive::Shape;
use crate::figure::{Figure, Figures, Nanoseconds, Scaling};
use crate::fleet;
use crate::gate::Finding;
use crate::load;
use crate::measure::Run;
use crate::subjects::Column;

const LEGEND: &str = "\
Each cell: **instructions** a call (callgrind) · **allocations** a call · calls a second of **two threads** on clones of \
one instance ÷ one thread · **nanoseconds** a call (10th to 90th percentile of many batches, never asserted). One run, one machine; \
the inner service is a ready future. `–` was not asked for, `?` could not be measured (reasons below).";

/// The run as Markdown: the table with its legend, what could not be measured and why, what is wrong, and what a server
/// under load kept and how fast fleets heard.
pub fn markdown(run: &Run, findings: &[Finding]) -> String {
    let mut text = if run.readings().is_empty() {
        String::new()
    } else {
        costs(run) + &notes(run, findings)
    };
    text.push_str(&load::section::markdown(run.served()));
    text.push_str(&fleet::section::markdown(run.fleet()));
    text
}

fn costs(run: &Run) -> String {
    let columns: Vec<_> = Column::ALL
        .into_iter()
        .filter(|column| has_column(run, *column))
        .collect();
    let mut text = format!("{LEGEND}\n\n| what | budget |");
    for column in &columns {
        let _ = write!(text, " {} |", column.heading());
    }
    text.push_str("\n|---|---|");
    text.push_str(&"---|".repeat(columns.len()));
    text.push('\n');
    for (path, shape) in rows(run) {
        let _ = write!(
            text,
            "| {} | {} |",
            title(path, shape),
            budget(path.budget(shape))
        );
        for column in &columns {
            let cell = run
                .get(path.id, *column, shape)
                .map_or_else(String::new, cell);
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

fn has_column(run: &Run, column: Column) -> bool {
    run.readings()
        .iter()
        .any(|reading| reading.subject.column == column)
}

fn rows(run: &Run) -> impl Iterator<Item = (&'static Path, Shape)> {
    PATHS
        .iter()
        .flat_map(|path| Shape::ALL.map(|shape| (path, shape)))
        .filter(|(path, shape)| {
            run.readings()
                .iter()
                .any(|reading| reading.subject.path == path.id && reading.shape == *shape)
        })
}

fn title(path: &Path, shape: Shape) -> String {
    match shape {
        Shape::Reused => path.title.to_owned(),
        Shape::Cloned => "· the same, cloned for each call".to_owned(),
    }
}

fn budget(budget: Budget) -> String {
    if budget.instructions.is_none() && budget.allocations.is_none() && budget.scaling.is_none() {
        return String::new();
    }
    let instructions = budget
        .instructions
        .map_or_else(dash, |ceiling| match ceiling {
            Ceiling::AtMost(most) => format!("≤ {}", grouped(most)),
            Ceiling::Beyond(extra, other) => format!("≤ `{other}` + {extra}"),
            Ceiling::Times(factor, other) => format!("≤ {factor} × `{other}`"),
        });
    let allocations = budget.allocations.map_or_else(dash, |most| {
        if most == 0 {
            "0".into()
        } else {
            format!("≤ {most}")
        }
    });
    let scaling = budget.scaling.map_or_else(dash, |floor| match floor {
        Floor::Gated(least) => format!("≥ {least:.1}"),
        Floor::Shown(least) => format!("({least:.1})"),
    });
    format!("{instructions} · {allocations} · {scaling}")
}

fn cell(figures: &Figures) -> String {
    [
        shown(&figures.instructions, |count| grouped(*count)),
        shown(&figures.allocations, |count| allocations(*count)),
        shown(&figures.scaling, |Scaling { ratio, .. }| {
            format!("{ratio:.2}")
        }),
        shown(&figures.time, |Nanoseconds { p10, p90 }| {
            format!("{}–{}", nanoseconds(*p10), nanoseconds(*p90))
        }),
    ]
    .join(" · ")
}

fn shown<T>(figure: &Figure<T>, show: impl Fn(&T) -> String) -> String {
    match figure {
        Figure::Known(figure) => show(figure),
        Figure::Unknown(_) => "?".to_owned(),
        Figure::Skipped => dash(),
    }
}

fn dash() -> String {
    "–".to_owned()
}

// A fraction is what grows by doubling; below a hundredth it is still not nothing.
fn allocations(count: f64) -> String {
    if count.fract() == 0.0 {
        format!("{count:.0}")
    } else {
        format!("{:.2}", count.max(0.01))
    }
}

fn nanoseconds(time: f64) -> String {
    if time < 10.0 {
        format!("{time:.1}")
    } else {
        grouped(whole(time))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a figure for people to read"
)]
pub(crate) fn whole(figure: f64) -> u64 {
    figure.round() as u64
}

pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

// Each reason once, however many cells it empties.
fn notes(run: &Run, findings: &[Finding]) -> String {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for reading in run.readings() {
        let figures = &reading.figures;
        let unknown = [
            ("instructions", figures.instructions.unknown()),
            ("scaling", figures.scaling.unknown()),
            ("time", figures.time.unknown()),
        ];
        for (what, reason) in unknown {
            let Some(reason) = reason else { continue };
            let note = format!("{what} not measured: {reason}");
            let subject = format!("{} ({})", reading.subject.id(), reading.shape.name());
            match reasons.iter_mut().find(|(known, _)| *known == note) {
                Some((_, subjects)) => subjects.push(subject),
                None => reasons.push((note, vec![subject])),
            }
        }
    }

    let mut text = String::new();
    for (note, subjects) in reasons {
        let of = if subjects.len() > 3 {
            format!("{} subjects", subjects.len())
        } else {
            subjects.join(", ")
        };
        let _ = write!(text, "\n- {note} — {of}");
    }
    for finding in findings.iter().filter(|finding| finding.missed) {
        let _ = write!(text, "\n- **{finding}**");
    }
    if text.is_empty() { text } else { text + "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Reading;
    use crate::subjects::find;

    fn bare(instructions: Figure<u64>) -> Run {
        let subject = find("bare/floor").expect("is listed");
        let figures = Figures {
            instructions,
            allocations: Figure::Known(0.0),
            scaling: Figure::Skipped,
            time: Figure::Known(Nanoseconds {
                p10: 1.52,
                p90: 1.9,
            }),
        };
        Run::of(vec![Reading {
            subject,
            shape: Shape::Reused,
            figures,
        }])
    }

    #[test]
    fn a_row_holds_its_figures_in_the_order_of_the_legend() {
        let table = markdown(&bare(Figure::Known(12_345)), &[]);
        assert!(
            table.contains("| bare inner service |  | 12,345 · 0 · – · 1.5–1.9 |"),
            "{table}"
        );
    }

    #[test]
    fn a_figure_that_is_missing_says_why() {
        let table = markdown(
            &bare(Figure::Unknown("valgrind is not installed".to_owned())),
            &[],
        );
        assert!(table.contains("? · 0 · –"), "{table}");
        assert!(
            table.contains(
                "- instructions not measured: valgrind is not installed — bare/floor (reused)"
            ),
            "{table}"
        );
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(136_000), "136,000");
        assert_eq!(grouped(1_000_000), "1,000,000");
    }

    #[test]
    fn a_rare_allocation_is_never_shown_as_none() {
        assert_eq!(allocations(0.0), "0");
        assert_eq!(allocations(3.0), "3");
        assert_eq!(allocations(0.001), "0.01");
    }
}
