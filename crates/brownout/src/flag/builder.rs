use std::{fmt, time::Duration};

use brownout_registry::{DegradationLevel, Dependency, FeatureState};

use crate::core::{
    ConfigError,
    config::{count, duration, ratio},
};

use super::{
    flags::Flags,
    handle::{Description, Flag},
    settings::Settings,
};

/// Builds a [`Flag`] that is not like the default one. The first value out of range is reported by
/// [`build`](Self::build), with its field.
#[must_use = "there is no flag until `build` is called"]
pub struct FlagBuilder {
    flags: Flags,
    flag: Description,
    error: Option<ConfigError>,
}

/// The most bytes of a name.
const MAX_NAME: usize = 128;

impl FlagBuilder {
    pub(super) fn new(flags: &Flags, name: String) -> Self {
        Self {
            flags: flags.clone(),
            flag: Description {
                name,
                public_name: None,
                dependency: None,
                configured: FeatureState::Enabled,
                settings: Settings::default(),
            },
            error: None,
        }
    }

    /// The dependency that the feature calls, in the same registry: what the flag switches traffic to.
    ///
    /// A [level gate](Self::degrade_at) then disregards what that dependency's own circuits and observed calls say, so that it does not
    /// keep away the traffic with which they find out about recovery. Where no other is given, the dependency's public
    /// name is the flag's too.
    pub fn dependency(mut self, dependency: &Dependency) -> Self {
        // Of another registry it would excuse the flag from whatever level its own registry has.
        if !dependency.belongs_to(self.flags.registry()) {
            return self.refuse(ConfigError::new(
                "dependency",
                dependency.name(),
                "it must belong to the flag's registry",
            ));
        }
        self.flag.dependency = Some(dependency.clone());
        self
    }

    /// The name that strangers may see, in marks and refusals: 1 to 128 visible ASCII characters, or spaces. Without
    /// one, the flag is unnamed in public answers.
    pub fn public_name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        let valid = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if valid {
            self.flag.public_name = Some(name);
            return self;
        }
        let given = format!("{:?}", name.chars().take(64).collect::<String>());
        self.refuse(ConfigError::new(
            "public_name",
            given,
            "it takes 1 to 128 visible ASCII characters",
        ))
    }

    /// Degrades when this many calls in the window failed, 1 to 1,000,000, if they are also
    /// [`min_ratio`](Self::min_ratio) of all. Default 5.
    pub fn errors(self, errors: u32) -> Self {
        self.set(count("errors", errors, 1_000_000), |settings, errors| {
            settings.errors = errors;
        })
    }

    /// How long a failure counts, in twelve sub-buckets that slide. Default 60 s.
    pub fn window(self, length: Duration) -> Self {
        self.set(duration("window", length), |settings, length| {
            settings.window = length;
        })
    }

    /// The share of the calls in the window that must have failed as well, 0.0 ≤ `share` ≤ 1.0. Default 0.05.
    ///
    /// 0 is the classic rule: so many errors, whatever the traffic. It switches a feature off that is called a thousand
    /// times a second and fails once in ten thousand.
    pub fn min_ratio(self, share: f64) -> Self {
        self.set(ratio("min_ratio", share), |settings, share| {
            settings.min_ratio = share;
        })
    }

    /// For how long errors degrade the flag, before [`jitter`](Self::jitter). Each trip that follows on another doubles
    /// it, up to [`ttl_at_most`](Self::ttl_at_most). Default 300 s.
    pub fn ttl(self, time: Duration) -> Self {
        self.set(duration("ttl", time), |settings, time| settings.ttl = time)
    }

    /// Where doubling ends, before jitter. Default 1 h.
    pub fn ttl_at_most(self, time: Duration) -> Self {
        self.set(duration("ttl_at_most", time), |settings, time| {
            settings.ttl_at_most = time;
        })
    }

    /// Spreads the time to live by this share in both directions, 0.0 ≤ `share` ≤ 1.0, so that replicas do not come
    /// back in step. Default 0.2.
    pub fn jitter(self, share: f64) -> Self {
        self.set(ratio("jitter", share), |settings, share| {
            settings.jitter = share;
        })
    }

    /// Once the time to live is over, lets the share of calls that reach the service climb to all over this time, from
    /// a tenth. Default 30 s.
    pub fn ramp(self, time: Duration) -> Self {
        self.set(duration("ramp", time), |settings, time| {
            settings.ramp = Some(time);
        })
    }

    /// Lets all calls in at once when the time to live is over.
    pub fn no_ramp(mut self) -> Self {
        self.flag.settings.ramp = None;
        self
    }

    /// Degrades while the system's level is this or worse. Off by default.
    pub fn degrade_at(self, level: DegradationLevel) -> Self {
        self.set(gate("degrade_at", level), |settings, level| {
            settings.degrade_at = Some(level);
        })
    }

    /// Disables the feature while the system's level is this or worse. Off by default.
    pub fn disable_at(self, level: DegradationLevel) -> Self {
        self.set(gate("disable_at", level), |settings, level| {
            settings.disable_at = Some(level);
        })
    }

    /// The state that the flag has where nothing makes it worse. Default `Enabled`. It can be changed at run time, by
    /// [`Flag::configure`].
    pub fn configured(mut self, state: FeatureState) -> Self {
        self.flag.configured = state;
        self
    }

    /// The flag, registered under its name.
    ///
    /// # Errors
    ///
    /// The first value that was out of range, a combination that contradicts itself, a name that is not 1 to 128
    /// visible ASCII characters other than `:`, that another flag of the set has, or for which the registry has no
    /// room.
    pub fn build(self) -> Result<Flag, ConfigError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let settings = &self.flag.settings;
        if settings.ttl > settings.ttl_at_most {
            return Err(ConfigError::new(
                "ttl",
                format_args!("{:?}", settings.ttl),
                format!(
                    "it must be at most `ttl_at_most`, which is {:?}",
                    settings.ttl_at_most
                ),
            ));
        }
        if let (Some(degrade_at), Some(disable_at)) = (settings.degrade_at, settings.disable_at)
            && degrade_at >= disable_at
        {
            return Err(ConfigError::new(
                "degrade_at",
                degrade_at,
                format!("it must be a milder level than `disable_at`, which is {disable_at}"),
            ));
        }
        self.flags.add(self.flag)
    }

    fn set<T>(
        mut self,
        value: Result<T, ConfigError>,
        apply: impl FnOnce(&mut Settings, T),
    ) -> Self {
        match value {
            Ok(value) => {
                apply(&mut self.flag.settings, value);
                self
            }
            Err(error) => self.refuse(error),
        }
    }

    fn refuse(mut self, error: ConfigError) -> Self {
        self.error.get_or_insert(error);
        self
    }
}

fn gate(field: &'static str, level: DegradationLevel) -> Result<DegradationLevel, ConfigError> {
    if level == DegradationLevel::Full {
        return Err(ConfigError::new(
            field,
            level,
            "the level is never better than that, so the feature would never run; see `configured`",
        ));
    }
    Ok(level)
}

impl fmt::Debug for FlagBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlagBuilder")
            .field("name", &self.flag.name)
            .field("configured", &self.flag.configured)
            .field("settings", &self.flag.settings)
            .finish_non_exhaustive()
    }
}
