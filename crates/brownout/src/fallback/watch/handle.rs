use std::{error::Error, fmt, sync::Arc};

use brownout_registry::{Dependency, EventKind, Status};

use super::{health::TierHealth, shared::Shared};
use crate::core::Cause;

/// A handle on a chain that runs: how each tier does, and a switch for each.
///
/// It comes from [`FallbackLayer::chain`](crate::fallback::FallbackLayer::chain), and all services of the layer are one
/// chain, whoever holds a handle. A clone is another handle.
///
/// ```
/// # use brownout::{Registry, core::BoxError, fallback::FallbackLayer};
/// # use tower::{ServiceBuilder, service_fn};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// # let registry = Registry::new();
/// # let recs = registry.dependency("recommendations").register()?;
/// # let recommender = service_fn(|_: u32| async { Err::<u32, BoxError>("down".into()) });
/// let layer = FallbackLayer::for_results()
///     .safe()
///     .covering(&recs)
///     .tier_fn("rules", |_| async { Ok::<u32, BoxError>(1) })
///     .last("popular", |_| async { 7 })?;
/// let chain = layer.chain();
/// let service = ServiceBuilder::new().layer(layer).service(recommender);
///
/// chain.switch_off("rules")?;
/// let Ok(answer) = service.oneshot(42).await;
/// assert_eq!(answer, 7);
/// assert_eq!(chain.switch_off("cache").unwrap_err().to_string(),
///     "there is no tier \"cache\": this chain has rules, popular");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Chain(pub(super) Arc<Shared>);

/// A tier, as it is at the moment.
#[derive(Clone, Debug)]
pub struct TierView {
    name: &'static str,
    on: bool,
    status: Status,
    answered: u64,
    failed: u64,
    last_failure: Option<Cause>,
}

/// A tier that cannot be switched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SwitchError {
    /// The chain has no tier of that name.
    Unknown {
        /// What was asked for.
        tier: String,
        /// What there is.
        tiers: Vec<&'static str>,
    },
    /// It is the last, which a chain that always answers cannot do without.
    Last(&'static str),
}

impl Chain {
    /// The dependency that the chain covers, if it covers one.
    pub fn dependency(&self) -> Option<&Dependency> {
        self.0.dependency.as_ref()
    }

    /// The tiers, in order; the primary is not among them.
    pub fn tiers(&self) -> impl Iterator<Item = TierView> + '_ {
        self.0.tiers.iter().map(TierView::of)
    }

    /// Asks the tier no longer, from the next call on that comes to it. It counts as absent until it is switched on
    /// again.
    ///
    /// # Errors
    ///
    /// There is no such tier, or it is the last of a chain that always answers.
    pub fn switch_off(&self, tier: &str) -> Result<(), SwitchError> {
        self.switch(tier, false)
    }

    /// Asks the tier again.
    ///
    /// # Errors
    ///
    /// There is no such tier.
    pub fn switch_on(&self, tier: &str) -> Result<(), SwitchError> {
        self.switch(tier, true)
    }

    fn switch(&self, name: &str, on: bool) -> Result<(), SwitchError> {
        let tiers = &self.0.tiers;
        let Some(tier) = tiers.iter().find(|tier| tier.name == name) else {
            return Err(SwitchError::Unknown {
                tier: name.to_owned(),
                tiers: tiers.iter().map(|tier| tier.name).collect(),
            });
        };
        if tier.is_last && !on {
            return Err(SwitchError::Last(tier.name));
        }
        if tier.switch(!on) {
            self.say(tier.name, on);
        }
        Ok(())
    }

    fn say(&self, tier: &'static str, on: bool) {
        let dependency = self.dependency();
        // Before the log, whose subscriber may panic.
        if let Some(dependency) = dependency {
            dependency.registry().record(EventKind::TierSwitched {
                dependency: dependency.shared_name(),
                tier: tier.into(),
                on,
            });
        }
        let name = dependency.map(Dependency::name);
        if on {
            tracing::info!(dependency = name, tier, "fallback tier switched on");
        } else {
            tracing::warn!(dependency = name, tier, "fallback tier switched off");
        }
    }
}

impl TierView {
    fn of(tier: &TierHealth) -> Self {
        let (answered, failed) = tier.counts();
        Self {
            name: tier.name,
            on: tier.is_on(),
            status: tier.status(),
            answered,
            failed,
            last_failure: tier.failure(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it is switched on.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// How it does: `Unknown` before it was asked, `Degraded` after a failure, `Unhealthy` after three in a row,
    /// `Healthy` after an answer.
    pub fn status(&self) -> Status {
        self.status
    }

    /// How often it has answered, exercises included.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// How often it was asked and has failed.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Why it failed the last time, however long that is ago. Not for strangers.
    pub fn last_failure(&self) -> Option<&Cause> {
        self.last_failure.as_ref()
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("dependency", &self.dependency().map(Dependency::name))
            .field("tiers", &self.tiers().collect::<Vec<_>>())
            .finish()
    }
}

impl fmt::Display for SwitchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { tier, tiers } => write!(
                f,
                "there is no tier {tier:?}: this chain has {}",
                tiers.join(", ")
            ),
            Self::Last(tier) => write!(
                f,
                "the tier {tier:?} cannot be switched off: it is the last, and its chain always answers"
            ),
        }
    }
}

impl Error for SwitchError {}
