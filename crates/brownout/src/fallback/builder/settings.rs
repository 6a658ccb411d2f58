use std::time::Duration;

use crate::{
    core::{ConfigError, config},
    fallback::{chain::Step, run::PRIMARY, watch::Settings},
};

impl Settings {
    /// Takes a tier.
    pub(super) fn step<A>(
        &mut self,
        name: &'static str,
        timeout: Option<Duration>,
        tier: A,
    ) -> Step<A> {
        self.keep_duration("timeout", timeout);
        self.add(name);
        Step { tier, name }
    }

    pub(super) fn keep_duration(&mut self, field: &'static str, given: Option<Duration>) {
        if let Some(Err(refused)) = given.map(|given| config::duration(field, given)) {
            self.wrong.get_or_insert(refused);
        }
    }

    fn add(&mut self, name: &'static str) {
        let wrong = if self.tiers.contains(&name) {
            Some("each tier of a chain needs a name of its own")
        } else if name == PRIMARY {
            Some("that is what the service itself is called")
        } else if name.is_empty()
            || name.len() > 128
            || !name.bytes().all(|byte| byte.is_ascii_graphic())
        {
            Some("a name is 1 to 128 visible ASCII characters")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            let refused = ConfigError::new("tier", format_args!("{name:?}"), wrong);
            self.wrong.get_or_insert(refused);
        }
        self.tiers.push(name);
    }
}
