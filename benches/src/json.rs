//! The same readings for machines: one object a subject and shape.

use serde::Serialize;

use crate::figure::{Figure, Figures};
use crate::fleet::Fleet;
use crate::gate::Finding;
use crate::load::Served;
use crate::measure::Run;

/// The report as it is written to `report.json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    readings: Vec<Reading<'a>>,
    served: &'a Figure<Served>,
    fleet: &'a [Fleet],
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
    serde_json::to_string_pretty(&Report {
        readings,
        served: run.served(),
        fleet: run.fleet(),
        findings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::Shape;
    use crate::load::interval::Interval;
    use crate::load::{Kept, Route};
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

    #[test]
    fn what_a_server_kept_is_an_object_with_its_interval() {
        let rate = Kept {
            median: 40_000.0,
            share: Interval {
                low: 0.985,
                median: 0.99,
                high: 0.995,
            },
        };
        let served = Served {
            rounds: 15,
            confidence: 0.95,
            routes: vec![Route {
                name: "whole",
                title: "whole stack",
                rate,
                processor: Figure::Unknown("no such file".to_owned()),
            }],
        };
        let run = Run::of(Vec::new()).with_served(Figure::Known(served));
        let json: serde_json::Value =
            serde_json::from_str(&text(&run, &[]).expect("figures are plain data"))
                .expect("is JSON");
        assert_eq!(json["served"]["rounds"], 15);
        let route = &json["served"]["routes"][0];
        assert_eq!(route["name"], "whole");
        assert_eq!(route["rate"]["median"], 40_000.0);
        assert_eq!(route["rate"]["share"]["low"], 0.985);
        assert_eq!(route["processor"]["not_measured"], "no such file");
    }
}
