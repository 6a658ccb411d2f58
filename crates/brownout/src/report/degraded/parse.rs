//! Marks that somebody else has written.

use std::time::Duration;

use crate::core::{DegradeReason, Degraded, Marks, RejectReason};

/// The marks of a list of RFC 9651 (section 4.2); none where it is no such list, as a whole.
///
/// Members that are numbers or inner lists, which no mark is, and parameters that are neither token, string, integer nor
/// flag count as no such list.
pub(super) fn marks(text: &str) -> Option<Vec<Degraded>> {
    let mut rest = Rest(text.trim_matches(' '));
    let mut marks = Vec::new();
    if rest.0.is_empty() {
        return Some(marks);
    }
    loop {
        let mark = rest.member()?;
        if marks.len() < Marks::MAX {
            marks.push(mark);
        }
        rest.skip_space();
        if rest.0.is_empty() {
            return Some(marks);
        }
        rest.eat(',')?;
        rest.skip_space();
    }
}

/// What is yet to be read.
struct Rest<'a>(&'a str);

/// A bare item.
enum Item {
    Text(String),
    Integer(u64),
}

impl Rest<'_> {
    fn member(&mut self) -> Option<Degraded> {
        let Item::Text(name) = self.item()? else {
            return None;
        };
        // An upstream that names no reason has failed in some way.
        let mut mark = Degraded::new(DegradeReason::Failed);
        mark.dependency = Some(name_of(&name)?.into());
        while self.eat(';').is_some() {
            self.0 = self.0.trim_start_matches(' ');
            let key = self.key()?;
            let value = match self.eat('=') {
                Some(()) => Some(self.item()?),
                None => None,
            };
            match (key.as_str(), value) {
                ("tier", Some(Item::Text(tier))) => mark.tier = name_of(&tier).map(Into::into),
                ("reason", Some(Item::Text(reason))) => {
                    mark.reason = reason_of(&reason).unwrap_or(DegradeReason::Failed);
                }
                ("age", Some(Item::Integer(seconds))) => {
                    mark.age = Some(Duration::from_secs(seconds));
                }
                ("head-only", None) => mark.head_only = true,
                _ => {}
            }
        }
        Some(mark)
    }

    fn key(&mut self) -> Option<String> {
        let is_first = |c: char| c.is_ascii_lowercase() || c == '*';
        let is_key = |c: char| is_first(c) || c.is_ascii_digit() || "_-.".contains(c);
        self.0
            .starts_with(is_first)
            .then(|| self.take_while(is_key).to_owned())
    }

    fn item(&mut self) -> Option<Item> {
        match self.0.chars().next()? {
            '"' => self.string().map(Item::Text),
            '0'..='9' => {
                let digits = self.take_while(|c| c.is_ascii_digit());
                // Fifteen at most (section 3.3.1).
                let integer = (digits.len() <= 15).then_some(digits)?.parse().ok()?;
                Some(Item::Integer(integer))
            }
            c if c.is_ascii_alphabetic() || c == '*' => {
                let is_token =
                    |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c);
                Some(Item::Text(self.take_while(is_token).to_owned()))
            }
            _ => None,
        }
    }

    fn string(&mut self) -> Option<String> {
        let mut chars = self.0.char_indices().skip(1);
        let mut text = String::new();
        loop {
            let (at, c) = chars.next()?;
            match c {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(text);
                }
                '\\' => {
                    let (_, escaped) = chars.next()?;
                    text.push(matches!(escaped, '"' | '\\').then_some(escaped)?);
                }
                ' '..='~' => text.push(c),
                _ => return None,
            }
        }
    }

    fn eat(&mut self, c: char) -> Option<()> {
        self.0 = self.0.strip_prefix(c)?;
        Some(())
    }

    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &str {
        let end = self.0.find(|c| !belongs(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }
}

/// A name by the rules of public names: visible ASCII or spaces, and not longer than 128 bytes.
fn name_of(text: &str) -> Option<String> {
    let kept = text.chars().filter(|c| (' '..='~').contains(c));
    let name: String = kept.take(128).collect();
    name.bytes()
        .any(|byte| byte.is_ascii_graphic())
        .then_some(name)
}

fn reason_of(text: &str) -> Option<DegradeReason> {
    use DegradeReason as Reason;
    let reasons = [
        Reason::Refused(RejectReason::CircuitOpen),
        Reason::Refused(RejectReason::CircuitHalfOpen),
        Reason::Refused(RejectReason::CircuitRamping),
        Reason::Refused(RejectReason::CircuitForcedOpen),
        Reason::Refused(RejectReason::NotReady),
        Reason::Failed,
        Reason::TimedOut,
        Reason::Unreachable,
        Reason::Unhealthy,
        Reason::Exercise,
        Reason::FlagDegraded,
        Reason::FlagDisabled,
    ];
    reasons.into_iter().find(|reason| reason.as_str() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mark_prints_is_read_again() {
        let mut full = Degraded::new(DegradeReason::Refused(RejectReason::CircuitOpen));
        full.dependency = Some("say \"it\" \\".into());
        full.tier = Some("1st".into());
        full.age = Some(Duration::from_secs(42));
        full.head_only = true;
        let mut plain = Degraded::new(DegradeReason::TimedOut);
        plain.dependency = Some("recs".into());
        let text = format!("{full}, {plain}");
        assert_eq!(marks(&text), Some(vec![full, plain]));
    }

    proptest::proptest! {
        /// Of names that are not public ones, what can stand in a header is left.
        #[test]
        fn whatever_a_mark_is_called_it_is_read_as_it_was_written(
            names in proptest::collection::vec("\\PC{0,40}", 1..4),
            tier in "\\PC{0,40}",
            age in proptest::option::of(0_u64..u64::MAX),
        ) {
            let written = |text: &str| text.chars().filter(|c| (' '..='~').contains(c)).collect::<String>();
            let is_seen = |text: &String| text.bytes().any(|byte| byte.is_ascii_graphic());
            let mut given = Vec::new();
            let mut expected = Some(Vec::new());
            for name in names {
                let mut mark = Degraded::new(DegradeReason::Unreachable);
                mark.dependency = Some(name.as_str().into());
                mark.tier = Some(tier.as_str().into());
                mark.age = age.map(Duration::from_secs);
                given.push(mark.to_string());
                mark.dependency = Some(written(&name).into());
                mark.tier = Some(written(&tier)).filter(is_seen).map(Into::into);
                mark.age = age.map(|age| Duration::from_secs(age.min(999_999_999_999_999)));
                // A member without a name makes the whole no list of marks.
                expected = expected.filter(|_| is_seen(&written(&name)));
                if let Some(expected) = &mut expected {
                    expected.push(mark);
                }
            }
            proptest::prop_assert_eq!(marks(&given.join(", ")), expected);
        }

        #[test]
        fn no_text_is_too_odd_to_be_read(text in "[a-z\"\\\\;=,. *0-9?:()ä-]{0,60}") {
            let read = marks(&text);
            proptest::prop_assert!(read.is_none_or(|marks| marks.len() <= Marks::MAX));
        }
    }

    #[test]
    fn every_reason_is_read_again() {
        for text in [
            "circuit-open",
            "circuit-half-open",
            "circuit-ramping",
            "circuit-forced-open",
            "not-ready",
            "failed",
            "timed-out",
            "unreachable",
            "unhealthy",
            "exercise",
            "flag-degraded",
            "flag-disabled",
        ] {
            assert_eq!(reason_of(text).map(DegradeReason::as_str), Some(text));
        }
        assert_eq!(reason_of("no such"), None);
    }

    #[test]
    fn what_is_no_list_is_ignored_as_a_whole() {
        assert_eq!(marks(""), Some(vec![]));
        assert_eq!(
            marks("a;new=1;b=\"c\" , b").map(|marks| marks.len()),
            Some(2)
        );
        for text in [
            ",",
            "a,",
            "a b",
            "a;",
            "a;=1",
            "a;B",
            "a;b=",
            "7",
            "(a b)",
            "\"",
            "\"a",
            "\"a\\x\"",
            "a;age=-",
            "?1",
            "\"ä\"",
            "\"\"",
            "\" \"",
            "a;age=1234567890123456",
        ] {
            assert_eq!(marks(text), None, "{text}");
        }
    }

    #[test]
    fn no_more_are_read_than_a_header_may_hold() {
        let many = vec!["a"; 100].join(",");
        assert_eq!(marks(&many).map(|marks| marks.len()), Some(Marks::MAX));
    }
}
