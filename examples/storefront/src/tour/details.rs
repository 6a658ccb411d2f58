//! What operators are told of the shop's health.

use super::answers::Answer;

/// The details of `/health`, as they were at one time.
#[derive(Debug, Default)]
pub(super) struct Details {
    status: String,
    /// The level.
    pub(super) level: String,
    /// How each service behind the shop is; what is the shop's own is left out.
    services: Vec<(String, String)>,
}

impl Details {
    /// An answer that has none tells nothing.
    pub(super) fn read(answer: &Answer) -> Self {
        let details = answer.json().unwrap_or_default();
        let checks = details["checks"].as_object().into_iter().flatten();
        let states = checks.filter_map(|(name, checks)| {
            let state = checks[0]["state"].as_str()?;
            (name != "database").then(|| (name.clone(), state.to_owned()))
        });
        Self {
            status: answer.says("status").unwrap_or_default(),
            level: answer
                .says("level")
                .unwrap_or_else(|| "not told".to_owned()),
            services: states.collect(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.level == "full"
    }

    /// Whether nothing is wrong, and nothing was lately.
    pub(super) fn is_well(&self) -> bool {
        self.is_full() && self.status == "pass"
    }

    /// Whether it tells nothing, so that it is of no use to wait for better news.
    pub(super) fn is_silent(&self) -> bool {
        self.status.is_empty()
    }

    /// Whether this is said of every service behind the shop.
    pub(super) fn are_all(&self, state: &str) -> bool {
        !self.services.is_empty() && self.services.iter().all(|(_, seen)| seen == state)
    }

    /// How the services behind the shop are.
    pub(super) fn states(&self) -> String {
        let states = self
            .services
            .iter()
            .map(|(name, state)| format!("{name} {state}"));
        states.collect::<Vec<_>>().join(", ")
    }
}
