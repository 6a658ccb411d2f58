use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use brownout_registry::{RegisterError, Registry};

use crate::core::ConfigError;

use super::{
    builder::FlagBuilder,
    handle::{Description, Flag},
};

/// The feature flags of a system, over its registry: they live in memory, follow the registry's level and overrides,
/// and put their changes into its event stream.
///
/// Clones are the same set. Make one for a registry: operators address flags by name
/// ([`Registry::override_flag`]), so two flags of one name would obey the same orders.
#[derive(Clone)]
pub struct Flags {
    registry: Registry,
    flags: Arc<Mutex<BTreeMap<Arc<str>, Flag>>>,
}

impl Flags {
    /// A set without flags.
    pub fn new(registry: &Registry) -> Self {
        Self {
            registry: registry.clone(),
            flags: Arc::default(),
        }
    }

    /// The flag of that name; a new one with the default settings where there is none.
    ///
    /// # Errors
    ///
    /// As [`FlagBuilder::build`] for the name.
    pub fn flag(&self, name: impl AsRef<str>) -> Result<Flag, ConfigError> {
        let name = name.as_ref();
        match self.get(name) {
            Some(flag) => Ok(flag),
            // Somebody else may have been faster.
            None => self
                .builder(name)
                .build()
                .or_else(|error| self.get(name).ok_or(error)),
        }
    }

    /// Describes a new flag that is not like the default one.
    pub fn builder(&self, name: impl Into<String>) -> FlagBuilder {
        FlagBuilder::new(self, name.into())
    }

    /// The flag of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<Flag> {
        self.lock().get(name).cloned()
    }

    /// Every flag, sorted by name.
    pub fn all(&self) -> Vec<Flag> {
        self.lock().values().cloned().collect()
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn add(&self, described: Description) -> Result<Flag, ConfigError> {
        let name: Arc<str> = described.name.as_str().into();
        // Quoted: what is no name may hold anything, line breaks too.
        let refused = |allowed: String| {
            let given = format!("{:?}", name.chars().take(64).collect::<String>());
            ConfigError::new("name", given, allowed)
        };
        let taken =
            || refused("a flag of that name exists already; `Flags::get` finds it".to_owned());
        if self.get(&name).is_some() {
            return Err(taken());
        }
        let unnamed = |error| match error {
            RegisterError::Invalid { allowed, .. } => refused(format!("it takes {allowed}")),
            other => refused(other.to_string()),
        };
        let imposed = self.registry.flag_override(&name).map_err(unnamed)?;
        let fleet = self.registry.flag_trip(&name).map_err(unnamed)?;
        // Made before the lock is taken: it calls the registry, which may call anybody.
        let flag = Flag::new(&self.registry, [imposed, fleet], described);
        let mut flags = self.lock();
        if flags.contains_key(&name) {
            drop(flags);
            return Err(taken());
        }
        flags.insert(Arc::clone(&name), flag.clone());
        Ok(flag)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Flag>> {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.all()).finish()
    }
}
