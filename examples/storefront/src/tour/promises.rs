//! What the shop promises, and which of it did not hold.

use std::{
    fmt,
    io::{self, Write},
};

use tower::BoxError;

use super::Verdict;

/// Keeps count.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    tally: Tally,
    reported: Tally,
    broken: Vec<Broken>,
}

/// How many promises were checked and how many of them held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    kept: usize,
    checked: usize,
}

#[derive(Debug)]
struct Broken {
    promise: String,
    seen: String,
}

impl Promises {
    /// Checks a promise: a sentence that names it, whether it held, and what was seen.
    pub(crate) fn check(
        &mut self,
        promise: impl Into<String>,
        kept: bool,
        seen: impl fmt::Display,
    ) {
        self.tally.checked += 1;
        if kept {
            self.tally.kept += 1;
        } else {
            self.broken.push(Broken {
                promise: promise.into(),
                seen: seen.to_string(),
            });
        }
    }

    /// Takes over what was checked elsewhere.
    pub(super) fn add(&mut self, others: Self) {
        self.tally.kept += others.tally.kept;
        self.tally.checked += others.tally.checked;
        self.broken.extend(others.broken);
    }

    /// The tally since this was last asked.
    pub(crate) fn tally(&mut self) -> Tally {
        let before = std::mem::replace(&mut self.reported, self.tally);
        Tally {
            kept: self.tally.kept - before.kept,
            checked: self.tally.checked - before.checked,
        }
    }

    /// Says how it ended.
    pub(crate) fn conclude(self, out: &mut impl Write) -> Result<Verdict, BoxError> {
        let Tally { kept, checked } = self.tally;
        if checked == 0 {
            return Err("no promise was checked, so the tour shows nothing".into());
        }
        if self.broken.is_empty() {
            writeln!(out, "all {checked} promises kept")?;
            return Ok(Verdict::AllKept);
        }
        self.list_broken(out)?;
        writeln!(
            out,
            "{} of {checked} promises broken, {kept} kept",
            self.broken.len()
        )?;
        Ok(Verdict::Broken)
    }

    fn list_broken(&self, out: &mut impl Write) -> io::Result<()> {
        for Broken { promise, seen } in &self.broken {
            writeln!(out, "BROKEN: {promise}\n        but {seen}")?;
        }
        writeln!(out)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.kept, self.checked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conclude(promises: Promises) -> (Verdict, String) {
        let mut out = Vec::new();
        let verdict = promises.conclude(&mut out).unwrap();
        (verdict, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_broken_promise_is_named_with_what_was_seen() {
        let mut promises = Promises::default();
        promises.check("the sky is blue", true, "it is");
        promises.check("pigs fly", false, "they walk");
        let (verdict, text) = conclude(promises);
        assert_eq!(verdict, Verdict::Broken);
        assert!(
            text.contains("BROKEN: pigs fly\n        but they walk"),
            "{text}"
        );
        assert!(text.contains("1 of 2 promises broken, 1 kept"), "{text}");
        assert!(!text.contains("the sky"), "{text}");
    }

    #[test]
    fn kept_promises_are_counted() {
        let mut promises = Promises::default();
        promises.check("the sky is blue", true, "it is");
        let (verdict, text) = conclude(promises);
        assert_eq!(verdict, Verdict::AllKept);
        assert_eq!(text, "all 1 promises kept\n");
    }

    #[test]
    fn a_tour_that_checked_nothing_has_no_verdict() {
        assert!(Promises::default().conclude(&mut Vec::new()).is_err());
    }

    #[test]
    fn each_step_has_a_tally_of_its_own() {
        let mut promises = Promises::default();
        promises.check("a", true, "");
        promises.check("b", false, "");
        assert_eq!(promises.tally().to_string(), "1 of 2");
        promises.check("c", true, "");
        assert_eq!(promises.tally().to_string(), "1 of 1");
    }
}
