//! The table that the tour prints, a row a step, while it goes on.

use std::{
    io::{self, Write},
    time::Duration,
};

use brownout::registry::CircuitState;

use super::{answers::Answers, promises::Tally};
/// What is printed of one step.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) step: &'a str,
    pub(super) answers: &'a Answers,
    /// Where they come from.
    pub(super) from: String,
    /// How many calls the service behind the page has seen meanwhile.
    pub(super) calls: u64,
    pub(super) circuit: CircuitState,
    pub(super) level: &'a str,
    pub(super) promises: Tally,
}

/// Writes rows as they come.
#[derive(Debug)]
pub(super) struct Table<'a, W> {
    out: &'a mut W,
}

const HEADINGS: [&str; 8] = [
    "step", "answers", "from", "median", "upstream", "circuit", "level", "promises",
];
const WIDTHS: [usize; 8] = [55, 11, 22, 8, 8, 9, 9, 8];

impl<'a, W: Write> Table<'a, W> {
    /// Starts with the headings.
    pub(super) fn new(out: &'a mut W) -> io::Result<Self> {
        let mut table = Self { out };
        table.line(&HEADINGS.map(str::to_owned))?;
        table.line(&WIDTHS.map(|width| "-".repeat(width)))?;
        Ok(table)
    }

    pub(super) fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.line(&[
            row.step.to_owned(),
            row.answers.to_string(),
            row.from.clone(),
            millis(row.answers.median()),
            row.calls.to_string(),
            row.circuit.to_string(),
            row.level.to_owned(),
            row.promises.to_string(),
        ])
    }

    /// What was seen elsewhere, as one line.
    pub(super) fn note(&mut self, step: &str, promises: Tally) -> io::Result<()> {
        let mut cells = [const { String::new() }; 8];
        step.clone_into(&mut cells[0]);
        cells[7] = promises.to_string();
        self.line(&cells)
    }

    fn line(&mut self, cells: &[String; 8]) -> io::Result<()> {
        let cells: Vec<_> = cells
            .iter()
            .zip(WIDTHS)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(self.out, "{}", cells.join("  ").trim_end())?;
        // A step takes a while; its row should not wait for the next one.
        self.out.flush()
    }
}

/// Milliseconds, as people compare them.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_under_their_headings() {
        let mut out = Vec::new();
        let answers = Answers::default();
        let row = Row {
            step: "nothing happens",
            answers: &answers,
            from: answers.sources(),
            calls: 7,
            circuit: CircuitState::HalfOpen,
            level: "full",
            promises: Tally::default(),
        };
        Table::new(&mut out).unwrap().row(&row).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        for (heading, cell) in [
            ("upstream", "7"),
            ("circuit", "half-open"),
            ("level", "full"),
        ] {
            assert_eq!(lines[0].find(heading), lines[2].find(cell), "{text}");
        }
    }
}
