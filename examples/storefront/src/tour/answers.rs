//! What the shop answered.

use std::{fmt, time::Duration};

use axum::{body::Bytes, http::StatusCode};
use serde_json::Value;

/// What came back, and when the whole of it was there.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// None where nothing came that makes an answer.
    pub(super) status: Option<StatusCode>,
    /// What it says of itself, where it is worse than it could be.
    pub(super) degraded: Option<String>,
    /// Whether nobody may store it.
    pub(super) no_store: bool,
    pub(super) body: Bytes,
    pub(super) took: Duration,
}

/// Some answers to the same question.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Vec<Answer>);

impl Answer {
    /// What its JSON says under this name.
    pub(super) fn says(&self, field: &str) -> Option<String> {
        Some(self.json()?.get(field)?.as_str()?.to_owned())
    }

    /// What it says, where that is JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl FromIterator<Answer> for Answers {
    fn from_iter<I: IntoIterator<Item = Answer>>(answers: I) -> Self {
        Self(answers.into_iter().collect())
    }
}

impl Answers {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Answer> {
        self.0.iter()
    }

    /// Whether every answer has this status.
    pub(super) fn are_all(&self, status: StatusCode) -> bool {
        self.0.iter().all(|answer| answer.status == Some(status))
    }

    /// Whether every answer says in its header in whose place it comes, from where, and why; and that nobody may store it.
    pub(super) fn are_marked(&self, dependency: &str, reasons: &[&str]) -> bool {
        let marked = |answer: &Answer| {
            let source = answer.says("source")?;
            let said = answer.degraded.as_ref()?;
            let mark = reasons.iter().find_map(|reason| {
                said.strip_prefix(&format!("{dependency};tier={source};reason={reason}"))
            });
            let only = mark.is_some_and(|rest| rest.is_empty() || rest.starts_with(";age="));
            Some(only && !said.contains(',') && answer.no_store)
        };
        let marked = |answer| marked(answer).unwrap_or(false);
        self.0.iter().all(marked)
    }

    /// What the answers say of themselves, each thing once.
    pub(super) fn marks(&self) -> String {
        let mut marks: Vec<&str> = Vec::new();
        for mark in self
            .0
            .iter()
            .filter_map(|answer| answer.degraded.as_deref())
        {
            if !marks.contains(&mark) {
                marks.push(mark);
            }
        }
        marks.join(" / ")
    }

    /// Whether no answer says that it is degraded.
    pub(super) fn are_unmarked(&self) -> bool {
        self.0.iter().all(|answer| answer.degraded.is_none())
    }

    /// Where the answers say they come from, in order of appearance.
    pub(super) fn sources(&self) -> String {
        let mut sources: Vec<String> = Vec::new();
        for source in self.0.iter().filter_map(|answer| answer.says("source")) {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        sources.join("/")
    }

    /// The middle time: one hiccup of a busy machine does not move it.
    pub(super) fn median(&self) -> Duration {
        let mut times: Vec<_> = self.0.iter().map(|answer| answer.took).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    pub(super) fn slowest(&self) -> Duration {
        self.0
            .iter()
            .map(|answer| answer.took)
            .max()
            .unwrap_or_default()
    }
}

/// The statuses in order, repeated ones counted: `3×502 1×200`.
impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|one, next| one.status == next.status);
        let words: Vec<_> = runs
            .map(|run| {
                let status = run.first().and_then(|answer| answer.status);
                match status {
                    Some(status) => format!("{}×{}", run.len(), status.as_u16()),
                    None => format!("{}×none", run.len()),
                }
            })
            .collect();
        f.pad(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: StatusCode, millis: u64) -> Answer {
        Answer {
            status: Some(status),
            degraded: None,
            no_store: true,
            body: Bytes::new(),
            took: Duration::from_millis(millis),
        }
    }

    #[test]
    fn the_median_ignores_a_hiccup_and_the_slowest_does_not() {
        let answers = Answers([3, 900, 2].map(|time| answer(StatusCode::OK, time)).into());
        assert_eq!(answers.median(), Duration::from_millis(3));
        assert_eq!(answers.slowest(), Duration::from_millis(900));
    }

    #[test]
    fn answers_are_told_apart_by_status() {
        let (ok, bad) = (StatusCode::OK, StatusCode::BAD_GATEWAY);
        let answers = Answers([bad, bad, ok].map(|status| answer(status, 1)).into());
        assert_eq!(answers.to_string(), "2×502 1×200");
        assert!(!answers.are_all(bad));
    }

    #[test]
    fn an_answer_is_marked_only_by_the_tier_that_it_names() {
        let degraded = |mark: Option<&str>| {
            Answers::from_iter([Answer {
                degraded: mark.map(ToOwned::to_owned),
                body: Bytes::from_static(br#"{"source":"cache"}"#),
                ..answer(StatusCode::OK, 1)
            }])
        };
        let marked = |mark| degraded(mark).are_marked("users", &["failed", "timed-out"]);
        assert!(marked(Some("users;tier=cache;reason=failed")));
        assert!(marked(Some("users;tier=cache;reason=timed-out;age=42")));
        for other in [
            "users;tier=minimal;reason=failed",
            "orders;tier=cache;reason=failed",
            "users;tier=cache;reason=circuit-open",
            "users;tier=cache;reason=failed, payments;reason=failed",
        ] {
            assert!(!marked(Some(other)), "{other}");
        }
        assert!(!marked(None));
        assert!(degraded(None).are_unmarked());
        assert_eq!(degraded(None).sources(), "cache");
    }
}
