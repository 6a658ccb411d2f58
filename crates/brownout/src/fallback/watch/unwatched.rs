use std::{sync::Arc, task::Context, time::Duration};

use brownout_registry::DegradationLevel;
use tokio::time::Instant;

use super::{Exercising, Resume, Settings, Skip, Timed, Watch, Watched, Watching};
use crate::{
    core::{Cause, ConfigError},
    fallback::run::ServedBy,
};

/// A chain that has no times to keep as a whole and nobody to tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched(());

impl Watching for Unwatched {
    type AndWatched = Watched;
    type AndTimed = Watched<Timed>;
    type Call = Self;

    fn of(settings: &Settings) -> Result<Self, ConfigError> {
        settings.check()?;
        Ok(Self(()))
    }

    #[inline]
    fn begin(&self) -> Self {
        *self
    }

    #[inline]
    fn passes_over_primary(&self) -> bool {
        false
    }
}

impl<S, Req, T> Exercising<S, Req, T> for Unwatched {
    type Held = ();

    #[inline]
    fn nothing() {}

    #[inline]
    fn exercise(&self, _: &mut Self, _: bool, _: &mut S, _: &T, request: Req) -> Result<(), Req> {
        Err(request)
    }
}

impl<R, Req, Q> Resume<R, Req, Q> for () {
    const NEVER: bool = true;

    #[inline]
    fn resume(&mut self, _: &Q) -> Option<R> {
        None
    }
}

impl Watch for Unwatched {
    const NAMES: bool = false;

    #[inline]
    fn is_late(&mut self, _: &mut Context<'_>) -> bool {
        false
    }

    #[inline]
    fn begin(&mut self, _: usize, timeout: Option<Duration>) -> Result<Option<Instant>, Skip> {
        Ok(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    #[inline]
    fn begin_last(&mut self) -> Option<Instant> {
        None
    }

    #[inline]
    fn elapsed(&self) -> Option<Duration> {
        None
    }

    #[inline]
    fn trusted(&self, cause: Cause) -> Cause {
        cause
    }

    #[inline]
    fn trusted_of_tier(&self, _: usize, cause: Cause) -> Cause {
        cause
    }

    #[inline]
    fn tier_answered(&self, _: usize) {}

    #[inline]
    fn tier_failed(&self, _: usize, _: &Cause) {}

    #[inline]
    fn served(&self, _: &ServedBy) {}

    #[inline]
    fn primary_answered(&self) {}

    #[inline]
    fn is_exercise(&self) -> bool {
        false
    }

    #[inline]
    fn end_exercise(&mut self) {}

    #[inline]
    fn public_name(&self) -> Option<Arc<str>> {
        None
    }

    #[inline]
    fn level(&self) -> DegradationLevel {
        DegradationLevel::Full
    }
}
