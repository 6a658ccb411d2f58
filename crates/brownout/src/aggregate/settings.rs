use std::{sync::Arc, time::Duration};

use brownout_registry::{Dependency, Registry};

use crate::core::{ConfigError, config};

use super::{
    covering::Covering,
    meter::{Named, PartCounts},
    outcome::Name,
    plan::{About, Plan},
};

/// What has been said so far of an aggregate and its parts, besides their services.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    parts: Vec<Part>,
    within: Option<Duration>,
    concurrency: u32,
    named: Option<Named>,
    /// What is wrong, by whatever was said first.
    wrong: Option<ConfigError>,
}

#[derive(Clone, Debug)]
struct Part {
    name: Name,
    required: bool,
    timeout: Option<Duration>,
    covering: Option<Dependency>,
}

/// How many parts may run at once.
const CONCURRENCY: u32 = 5;

/// Far above what one answer needs.
const MAX_CONCURRENCY: u32 = 1_024;

impl Settings {
    pub(super) const fn new() -> Self {
        Self {
            parts: Vec::new(),
            within: None,
            concurrency: CONCURRENCY,
            named: None,
            wrong: None,
        }
    }

    /// Takes a part, and gives its place.
    pub(super) fn add(&mut self, name: Name, required: bool) -> usize {
        let text = name.as_str();
        let wrong = if self.parts.iter().any(|part| part.name.as_str() == text) {
            Some("each part of an aggregate needs a name of its own")
        } else if !is_name(text) {
            Some(NAME_RULE)
        } else {
            None
        };
        if let Some(allowed) = wrong {
            let given = format!("named {:?}", text.chars().take(128).collect::<String>());
            self.refuse(ConfigError::new("part", given, allowed));
        }
        self.parts.push(Part {
            name,
            required,
            timeout: None,
            covering: None,
        });
        self.parts.len() - 1
    }

    pub(super) fn timeout(&mut self, timeout: Duration) {
        if let Some(part) = self.latest("timeout") {
            part.timeout = Some(timeout);
        }
        self.check(config::duration("timeout", timeout));
    }

    pub(super) fn covering(&mut self, dependency: &Dependency) {
        if let Some(part) = self.latest("covering") {
            part.covering = Some(dependency.clone());
        }
    }

    pub(super) fn within(&mut self, deadline: Duration) {
        self.within = Some(deadline);
        self.check(config::duration("within", deadline));
    }

    pub(super) fn concurrency(&mut self, parts: u32) {
        self.concurrency = parts;
        self.check(config::count("concurrency", parts, MAX_CONCURRENCY));
    }

    pub(super) fn named(&mut self, registry: &Registry, name: &str) {
        if !is_name(name) {
            let given = format!("{:?}", name.chars().take(128).collect::<String>());
            self.refuse(ConfigError::new("named", given, NAME_RULE));
        }
        self.named = Some(Named {
            registry: registry.clone(),
            name: name.into(),
        });
    }

    pub(super) fn plan(mut self) -> Result<Arc<Plan>, ConfigError> {
        if let Some(wrong) = self.wrong.take().or_else(|| self.contradiction()) {
            return Err(wrong);
        }
        let is_counted = self.named.is_some();
        let plan = Arc::new(Plan {
            has_covering: self.parts.iter().any(|part| part.covering.is_some()),
            parts: self
                .parts
                .into_iter()
                .map(|part| part.about(is_counted))
                .collect(),
            within: self.within,
            concurrency: usize::try_from(self.concurrency).unwrap_or(usize::MAX),
            named: self.named,
        });
        if let Some(named) = &plan.named {
            named.registry.attach_meter(&plan);
        }
        Ok(plan)
    }

    /// A part whose own deadline can never come, because the whole has to be done before.
    fn contradiction(&self) -> Option<ConfigError> {
        let within = self.within?;
        self.parts.iter().find_map(|part| {
            let timeout = part.timeout.filter(|timeout| *timeout > within)?;
            Some(ConfigError::new(
                "timeout",
                format_args!("{timeout:?} for the part {:?}", part.name),
                format!("the whole has to be done within {within:?}"),
            ))
        })
    }

    fn latest(&mut self, field: &'static str) -> Option<&mut Part> {
        if self.parts.is_empty() {
            self.refuse(ConfigError::new(
                field,
                "said yet",
                "it is about the latest part, and there is none",
            ));
        }
        self.parts.last_mut()
    }

    fn check<T>(&mut self, checked: Result<T, ConfigError>) {
        if let Err(wrong) = checked {
            self.refuse(wrong);
        }
    }

    fn refuse(&mut self, wrong: ConfigError) {
        self.wrong.get_or_insert(wrong);
    }
}

const NAME_RULE: &str = "a name is 1 to 128 visible ASCII characters";

fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Part {
    fn about(self, is_counted: bool) -> About {
        About {
            counts: is_counted.then(PartCounts::new),
            covering: self
                .covering
                .map(|dependency| Covering::new(&dependency, &self.name)),
            name: self.name,
            required: self.required,
            timeout: self.timeout,
        }
    }
}
