use std::{fmt, sync::Arc, time::Duration};

use brownout_registry::DegradationLevel;

/// One way in which an answer is less than it could be.
///
/// Its [`Display`](fmt::Display) is one member of the `Degraded` header, a list of RFC 9651:
/// `recommendations;tier=cache;reason=circuit-open;age=42`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Degraded {
    /// The public name of the dependency that is missing; without one the mark stays out of public answers.
    pub dependency: Option<Arc<str>>,
    /// Which tier answered in its place.
    pub tier: Option<Arc<str>>,
    /// Why.
    pub reason: DegradeReason,
    /// The degradation level at that time.
    pub level: DegradationLevel,
    /// How old the answer is, where it was a copy.
    pub age: Option<Duration>,
    /// Whether better tiers were passed over because the request's body was not kept for them: the answer was made from
    /// the request's head alone.
    pub head_only: bool,
}

impl Degraded {
    /// A mark of this reason at the level `Full`, that says no more; the rest is for its fields.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use brownout::core::{DegradeReason, Degraded};
    ///
    /// let mut mark = Degraded::new(DegradeReason::TimedOut);
    /// mark.dependency = Some("recommendations".into());
    /// mark.age = Some(Duration::from_secs(42));
    /// assert_eq!(mark.to_string(), "recommendations;reason=timed-out;age=42");
    /// ```
    pub const fn new(reason: DegradeReason) -> Self {
        Self {
            dependency: None,
            tier: None,
            reason,
            level: DegradationLevel::Full,
            age: None,
            head_only: false,
        }
    }

    /// Whether the other says all that this one does, of the same dependency and for the same reason.
    #[cfg_attr(
        not(feature = "http"),
        allow(dead_code, reason = "only HTTP answers show what was collected")
    )]
    pub(super) fn says_within(&self, other: &Self) -> bool {
        let tier = self.tier.is_none() || self.tier == other.tier;
        let age = self.age.is_none() || self.age == other.age;
        tier && age
            && self.dependency == other.dependency
            && self.reason == other.reason
            && self.level == other.level
            && self.head_only <= other.head_only
    }
}

/// Why an answer is degraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DegradeReason {
    /// A guard refused the call.
    Refused(super::RejectReason),
    /// The dependency failed.
    Failed,
    /// The dependency did not answer in time.
    TimedOut,
    /// The dependency could not be reached.
    Unreachable,
    /// The dependency was not asked, because a probe or a person says that it is unhealthy.
    Unhealthy,
    /// Nothing is wrong: the tier was exercised.
    Exercise,
    /// A feature flag has stepped back.
    FlagDegraded,
    /// A feature flag is off.
    FlagDisabled,
}

impl DegradeReason {
    /// The reason in kebab case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused(reason) => reason.as_str(),
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Unreachable => "unreachable",
            Self::Unhealthy => "unhealthy",
            Self::Exercise => "exercise",
            Self::FlagDegraded => "flag-degraded",
            Self::FlagDisabled => "flag-disabled",
        }
    }
}

impl fmt::Display for Degraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Item(self.dependency.as_deref().unwrap_or("unnamed")).fmt(f)?;
        if let Some(tier) = &self.tier {
            write!(f, ";tier={}", Item(tier))?;
        }
        write!(f, ";reason={}", self.reason.as_str())?;
        if let Some(age) = self.age {
            write!(f, ";age={}", age.as_secs().min(MOST))?;
        }
        if self.head_only {
            f.write_str(";head-only")?;
        }
        Ok(())
    }
}

/// The largest integer that RFC 9651 (section 3.3.1) can hold.
const MOST: u64 = 999_999_999_999_999;

/// A bare item of RFC 9651: a token where the text is one, else a quoted string. What neither can hold is left out,
/// so that no name can break out of the header.
struct Item<'a>(&'a str);

impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.bytes();
        let is_token = bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'*')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&b));
        if is_token {
            return f.write_str(self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars().filter(|c| (' '..='~').contains(c)) {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

/// The marks of one answer, carried in its extensions. At most 16 are kept, which is what a header may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(Vec<Degraded>);

impl Marks {
    /// How many marks are kept.
    pub const MAX: usize = 16;

    /// Adds a mark; beyond [`MAX`](Self::MAX) it is dropped.
    pub fn push(&mut self, mark: Degraded) {
        if self.0.len() < Self::MAX {
            self.0.push(mark);
        }
    }

    /// The marks in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Degraded> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(dependency: &str, tier: &str) -> Degraded {
        Degraded {
            dependency: Some(dependency.into()),
            tier: Some(tier.into()),
            reason: DegradeReason::Refused(crate::core::RejectReason::CircuitOpen),
            level: DegradationLevel::Full,
            age: Some(Duration::from_secs(42)),
            head_only: false,
        }
    }

    #[test]
    fn a_mark_prints_as_a_member_of_a_structured_list() {
        assert_eq!(
            mark("recommendations", "cache").to_string(),
            "recommendations;tier=cache;reason=circuit-open;age=42"
        );
    }

    #[test]
    fn a_name_cannot_break_out_of_the_header() {
        assert_eq!(
            mark("a\r\nSet-Cookie: x", "say \"hi\"").to_string(),
            "\"aSet-Cookie: x\";tier=\"say \\\"hi\\\"\";reason=circuit-open;age=42"
        );
    }

    #[test]
    fn no_age_is_more_than_the_header_can_hold() {
        let mut endless = Degraded::new(DegradeReason::Failed);
        endless.age = Some(Duration::MAX);
        assert_eq!(
            endless.to_string(),
            "\"unnamed\";reason=failed;age=999999999999999".replace('"', "")
        );
    }

    #[test]
    fn marks_are_bounded() {
        let mut marks = Marks::default();
        for _ in 0..100 {
            marks.push(mark("a", "b"));
        }
        assert_eq!(marks.iter().count(), Marks::MAX);
    }
}
