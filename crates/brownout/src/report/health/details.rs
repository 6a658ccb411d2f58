//! What those may read who are authorised to.

use std::fmt::{self, Write};

use brownout_registry::{Criticality, DependencyView, ReportView, Snapshot, Status};

use super::{json::Quoted, time::Rfc3339, verdict::Verdict};

/// The document of health+json (draft-inadarei-api-health-check-06).
pub(super) struct Document<'a> {
    pub(super) verdict: Verdict,
    pub(super) service_id: Option<&'a str>,
    pub(super) release_id: Option<&'a str>,
    pub(super) snapshot: &'a Snapshot,
}

/// What a line says of a check.
#[derive(Clone, Copy, Debug)]
pub(super) enum Check {
    Ok,
    Degraded,
    Unknown,
    Failed,
}

impl Check {
    pub(super) const fn ok_if(passes: bool) -> Self {
        if passes { Self::Ok } else { Self::Failed }
    }

    /// A program that reads Kubernetes' signs finds them used as there; `ok` is kept for what the document passes.
    const fn sign_and_word(self) -> (char, &'static str) {
        match self {
            Self::Ok => ('+', "ok"),
            Self::Degraded => ('+', "degraded"),
            Self::Unknown => ('+', "unknown"),
            Self::Failed => ('-', "failed: reason withheld"),
        }
    }
}

impl From<Status> for Check {
    fn from(status: Status) -> Self {
        match status {
            Status::Healthy => Self::Ok,
            Status::Degraded => Self::Degraded,
            Status::Unknown => Self::Unknown,
            Status::Unhealthy => Self::Failed,
        }
    }
}

impl fmt::Display for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"{{"status":"{}""#, self.verdict.as_str())?;
        for (key, value) in [
            ("serviceId", self.service_id),
            ("releaseId", self.release_id),
        ] {
            if let Some(value) = value {
                write!(f, r#","{key}":{}"#, Quoted(value))?;
            }
        }
        write!(f, r#","level":"{}","checks":{{"#, self.snapshot.level)?;
        for (nth, dependency) in self.snapshot.dependencies.iter().enumerate() {
            if nth > 0 {
                f.write_char(',')?;
            }
            write_dependency(f, dependency)?;
        }
        f.write_str("}}")
    }
}

/// A dependency's checks. Its name has no `:`, which in a key begins what was measured.
fn write_dependency(f: &mut fmt::Formatter<'_>, view: &DependencyView) -> fmt::Result {
    let name = Quoted(&view.name);
    let verdict = Verdict::from(view.status);
    let critical = view.criticality == Criticality::Critical;
    write!(
        f,
        r#"{name}:[{{"componentId":{name},"componentType":"component","status":"{}","state":"{}","since":"{}","critical":{critical},"time":"{}""#,
        verdict.as_str(),
        view.status,
        Rfc3339(view.since.wall),
        Rfc3339(last_seen(view)),
    )?;
    if let Some(output) = output(view).filter(|_| verdict != Verdict::Pass) {
        write!(f, r#","output":{}"#, Quoted(output))?;
    }
    f.write_str("}]")?;
    write_response_times(f, view)
}

fn write_response_times(f: &mut fmt::Formatter<'_>, view: &DependencyView) -> fmt::Result {
    let mut times = view.probes.iter().filter_map(|probe| probe.response_time);
    let Some(first) = times.next() else {
        return Ok(());
    };
    let key = Key(&view.name);
    write!(f, ",{key}:[")?;
    for (nth, time) in std::iter::once(first).chain(times).enumerate() {
        if nth > 0 {
            f.write_char(',')?;
        }
        let value = time.as_secs_f64() * 1_000.0;
        write!(f, r#"{{"observedValue":{value:.3},"observedUnit":"ms"}}"#)?;
    }
    f.write_char(']')
}

struct Key<'a>(&'a str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Quoted(&format!("{}:responseTime", self.0)).fmt(f)
    }
}

/// When anybody last said anything of it.
fn last_seen(view: &DependencyView) -> std::time::SystemTime {
    let reports = view.reports.iter().map(|report| report.last);
    let checks = view.probes.iter().filter_map(|probe| probe.last_check);
    let last = reports.chain(checks).max_by_key(|moment| moment.at);
    last.unwrap_or(view.since).wall
}

/// The public message of the worst report: an upstream's own words go to the log alone.
fn output(view: &DependencyView) -> Option<&str> {
    let worst: Option<&ReportView> = view
        .reports
        .iter()
        .filter(|report| report.message.is_some())
        .max_by_key(|report| report.status);
    worst?.message.as_deref()
}

/// One line for each check, and one for all, as Kubernetes writes them.
pub(super) fn lines<'a>(
    name: &str,
    verdict: Verdict,
    checks: impl Iterator<Item = (&'a str, Check)>,
) -> String {
    let mut text = String::new();
    for (checked, check) in checks {
        let (sign, word) = check.sign_and_word();
        // Writing to a string does not fail.
        let _ = writeln!(text, "[{sign}]{checked} {word}");
    }
    let end = match verdict {
        Verdict::Fail => "failed",
        Verdict::Pass | Verdict::Warn => "passed",
    };
    let _ = writeln!(text, "{name} check {end}");
    text
}
