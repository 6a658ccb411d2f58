//! The same readings for machines: one object a subject and shape.

use serde::Serialize;

use crate::figure::Figures;
use crate::gate::Finding;
use crate::measure::Run;

/// The report as it is written to `report.json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    readings: Vec<Reading<'a>>,
    findings: &'a [Finding],
}

#[derive(Debug, Serialize)]
struct Reading<'a> {
    path: &'a str,
    column: &'a str,
    shape: &'a str,
    #[serde(flatten)]
    figures: &'a Figures,
}

/// `run` and what is wrong with it, as JSON.
pub fn text(run: &Run, findings: &[Finding]) -> Result<String, serde_json::Error> {
    let readings = run
        .readings()
        .iter()
        .map(|reading| Reading {
            path: reading.subject.path,
            column: reading.subject.column.name(),
            shape: reading.shape.name(),
            figures: &reading.figures,
        })
        .collect();
    serde_json::to_string_pretty(&Report { readings, findings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::Shape;
    use crate::figure::Figure;
    use crate::measure;
    use crate::subjects::find;

    #[test]
    fn a_missing_figure_keeps_its_reason() {
        let subject = find("bare/floor").expect("is listed");
        let figures = Figures {
            instructions: Figure::Unknown("valgrind is not installed".to_owned()),
            allocations: Figure::Known(0.0),
            scaling: Figure::Skipped,
            time: Figure::Skipped,
        };
        let run = Run::of(vec![measure::Reading {
            subject,
            shape: Shape::Reused,
            figures,
        }]);
        let json: serde_json::Value =
            serde_json::from_str(&text(&run, &[]).expect("figures are plain data"))
                .expect("is JSON");
        let reading = &json["readings"][0];
        assert_eq!(reading["path"], "bare");
        assert_eq!(
            reading["instructions"]["not_measured"],
            "valgrind is not installed"
        );
        assert_eq!(reading["allocations"], 0.0);
        assert!(reading["scaling"].is_null());
    }
}
