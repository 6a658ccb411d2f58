//! What all services of a chain share.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use brownout_registry::{DegradationLevel, Dependency, Status};

use super::{
    exercise::{Exercise, Exercises},
    health::TierHealth,
    spell::Spells,
};
use crate::core::{ConfigError, Ratio, config};

/// What a chain was told.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub(in crate::fallback) tiers: Vec<&'static str>,
    /// Whether the last tier always answers.
    pub(in crate::fallback) ends: bool,
    pub(in crate::fallback) within: Option<Duration>,
    pub(in crate::fallback) dependency: Option<Dependency>,
    pub(in crate::fallback) pass_over: Vec<Dependency>,
    pub(in crate::fallback) stand_for: Vec<(&'static str, Dependency)>,
    pub(in crate::fallback) exercise: Option<Exercise>,
    /// What is wrong, by whatever was said first.
    pub(in crate::fallback) wrong: Option<ConfigError>,
}

/// A chain, as all of its services and handles know it.
pub(super) struct Shared {
    pub(super) dependency: Option<Dependency>,
    public_name: OnceLock<Arc<str>>,
    pub(super) tiers: Box<[TierHealth]>,
    pub(super) spells: Spells,
    pub(super) within: Option<Duration>,
    pass_over: Box<[Dependency]>,
    pub(super) exercises: Option<Exercises>,
}

impl Settings {
    /// Refuses what is wrong.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match &self.wrong {
            Some(wrong) => Err(wrong.clone()),
            None => Ok(()),
        }
    }

    fn exercises(&self) -> Result<Option<Exercises>, ConfigError> {
        let Some(exercise) = &self.exercise else {
            return Ok(None);
        };
        let Some(dependency) = &self.dependency else {
            return Err(ConfigError::new(
                "exercise",
                exercise.share,
                "without `covering(&dependency)` the chain cannot know whether all is well",
            ));
        };
        let share: Ratio = config::threshold("exercise", exercise.share)?;
        config::count("at_most", exercise.at_most, 1_000_000)?;
        let patience = config::duration("patience", exercise.patience)?;
        if self.within.is_some_and(|within| within <= patience) {
            return Err(ConfigError::new(
                "patience",
                format_args!("{patience:?}"),
                "it must be less than `within`, so that the primary can still answer",
            ));
        }
        Ok(Some(Exercises::new(
            share,
            exercise,
            dependency.registry().random(),
        )))
    }

    pub(super) fn share(&self) -> Result<Shared, ConfigError> {
        self.check()?;
        for (tier, _) in &self.stand_for {
            if !self.tiers.contains(tier) {
                return Err(ConfigError::new(
                    "tier_stands_for",
                    format_args!("{tier:?}"),
                    format!("there is no such tier; there is {}", self.tiers.join(", ")),
                ));
            }
        }
        let health = |(index, &name): (usize, &&'static str)| {
            let is_last = self.ends && index + 1 == self.tiers.len();
            let stands_for = self.stand_for.iter().rev().find(|(tier, _)| *tier == name);
            TierHealth::new(name, is_last, stands_for.map(|(_, dependency)| dependency))
        };
        Ok(Shared {
            dependency: self.dependency.clone(),
            public_name: OnceLock::new(),
            tiers: self.tiers.iter().enumerate().map(health).collect(),
            spells: Spells::of(&self.tiers),
            within: self.within,
            pass_over: self.pass_over.clone().into(),
            exercises: self.exercises()?,
        })
    }
}

impl Shared {
    /// Whether the primary is ever passed over.
    pub(super) fn passes_over(&self) -> bool {
        !self.pass_over.is_empty()
    }

    /// A call has been answered in whose way nothing was: by the primary, or by a tier for exercise.
    #[inline]
    pub(super) fn not_needed(&self) {
        if let Some(dependency) = &self.dependency {
            self.spells.not_needed(dependency);
        }
    }

    #[cold]
    pub(super) fn passes_over_primary(&self) -> bool {
        self.pass_over
            .iter()
            .any(|dependency| dependency.status_without_traffic() == Status::Unhealthy)
    }

    pub(super) fn level(&self) -> DegradationLevel {
        match &self.dependency {
            Some(dependency) => dependency.registry().level(),
            None => DegradationLevel::Full,
        }
    }

    pub(super) fn public_name(&self) -> Option<Arc<str>> {
        if let Some(name) = self.public_name.get() {
            return Some(Arc::clone(name));
        }
        let name = self.dependency.as_ref()?.public_name()?;
        Some(Arc::clone(self.public_name.get_or_init(|| name.into())))
    }

    /// Whether a call shall exercise the first tier. One that is not to be asked takes no place.
    pub(super) fn draws_exercise(&self) -> bool {
        let is_asked = |tier: &TierHealth| tier.skip().is_none();
        self.is_all_well()
            && self.tiers.first().is_some_and(is_asked)
            && self.exercises.as_ref().is_some_and(Exercises::draws)
    }

    /// Whether nothing is wrong with the primary or the system, so that a tier may be exercised.
    fn is_all_well(&self) -> bool {
        self.dependency.as_ref().is_some_and(|dependency| {
            dependency.status() == Status::Healthy
                && dependency.registry().level() == DegradationLevel::Full
        })
    }
}
