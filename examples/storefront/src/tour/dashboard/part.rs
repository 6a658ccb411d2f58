//! The parts of the dashboard, and what it shows of each.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    account::{balance, notifications, past_orders},
    catalogue::best_sellers,
    client::Backend,
    customer::{Profile, UserId, everybody},
    tour::{
        answers::{Answer, Answers},
        stage::Stage,
    },
    upstream::Upstream,
};

pub(super) const PAGE: &str = "/api/v1/dashboard?user_id=42";
const CUSTOMER: UserId = UserId(42);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Users,
    Orders,
    Recommendations,
    Notifications,
    Balance,
}

impl Part {
    pub(super) const ALL: [Self; 5] = [
        Self::Users,
        Self::Orders,
        Self::Recommendations,
        Self::Notifications,
        Self::Balance,
    ];

    /// What strangers call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Orders => "orders",
            Self::Recommendations => "recommendations",
            Self::Notifications => "notifications",
            Self::Balance => "balance",
        }
    }

    /// The service, and how the shop calls it.
    pub(super) fn of(self, stage: &Stage) -> (&Upstream, &Backend) {
        let (upstreams, backends) = stage.services();
        match self {
            Self::Users => (&upstreams.users, &backends.users),
            Self::Orders => (&upstreams.orders, &backends.orders),
            Self::Recommendations => (&upstreams.recommendations, &backends.recommendations),
            Self::Notifications => (&upstreams.notifications, &backends.notifications),
            Self::Balance => (&upstreams.balance, &backends.balance),
        }
    }

    fn field(self) -> &'static str {
        match self {
            Self::Users => "profile",
            other => other.name(),
        }
    }

    /// What the dashboard shows of the customer while the service works, and while it does not.
    fn shown(self, broken: bool) -> Value {
        match (self, broken) {
            (Self::Users, false) => json!(everybody().find(|known| known.id == CUSTOMER)),
            (Self::Users, true) => json!(Profile::minimal(CUSTOMER)),
            (Self::Orders, false) => json!(past_orders(CUSTOMER)),
            (Self::Notifications, false) => json!(notifications(CUSTOMER)),
            (Self::Orders | Self::Notifications, true) => json!([]),
            // The model has its own mind about what sells best.
            (Self::Recommendations, false) => {
                json!(best_sellers().into_iter().rev().collect::<Vec<_>>())
            }
            (Self::Recommendations, true) => json!(best_sellers()),
            (Self::Balance, false) => json!(balance(CUSTOMER)),
            (Self::Balance, true) => Value::Null,
        }
    }
}

/// The first part whose value in any of the answers is not what it should be while these services are broken.
pub(super) fn wrong_value(answers: &Answers, broken: &[Part]) -> Option<&'static str> {
    let wrong = |json: &Value, part: Part| {
        let shown = json["data"].get(part.field());
        shown != Some(&part.shown(broken.contains(&part)))
    };
    let mut pages = answers.iter().map(Answer::json);
    pages.find_map(|page| {
        let page = page.unwrap_or_default();
        let part = Part::ALL.into_iter().find(|part| wrong(&page, *part))?;
        Some(part.field())
    })
}

/// Whether every answer says of exactly these services, and in its header too, that they failed.
pub(super) fn names_exactly(answers: &Answers, broken: &[Part]) -> bool {
    let expected: BTreeSet<_> = broken.iter().map(|part| part.name().to_owned()).collect();
    answers.iter().all(|answer| {
        let header = answer.degraded.as_deref().unwrap_or_default();
        let marked = header
            .split(", ")
            .filter_map(|mark| mark.split(';').next())
            .filter(|name| !name.is_empty());
        let page = answer.json().unwrap_or_default();
        let whole = !page["partial_failure"].as_bool().unwrap_or_default();
        whole == expected.is_empty()
            && whole != answer.no_store
            && failed(&page) == expected
            && marked.map(ToOwned::to_owned).collect::<BTreeSet<_>>() == expected
    })
}

/// How many parts come from their services, at least.
pub(super) fn count(answers: &Answers) -> String {
    let missing = answers
        .iter()
        .map(|answer| match answer.json() {
            Some(page) if page.get("data").is_some() => failed(&page).len(),
            _ => Part::ALL.len(),
        })
        .max();
    let there = Part::ALL.len() - missing.unwrap_or_default().min(Part::ALL.len());
    format!("{there} of {} services", Part::ALL.len())
}

fn failed(page: &Value) -> BTreeSet<String> {
    let services = page["failed_services"].as_array().into_iter().flatten();
    services
        .filter_map(|failed| Some(failed["service"].as_str()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_for_a_part_is_not_taken_for_the_part() {
        for part in Part::ALL {
            assert_ne!(part.shown(true), part.shown(false), "{}", part.name());
        }
    }
}
