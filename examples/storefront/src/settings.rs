//! How patient the shop is, and which of its safeguards are on.

use std::{path::PathBuf, time::Duration};

use brownout::{breaker::Policy, flag::FlagBuilder, registry::RegistryBuilder};
use clap::ValueEnum;

use crate::{
    membership::{Membership, Pace},
    outbox::ReplayTimes,
    probes::ProbeTimes,
};

/// What differs between serving and a tour, which has no time to wait for production's defaults.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long the shop waits for others.
    pub(crate) patience: Patience,
    /// When the circuits open and close.
    pub(crate) circuit: Policy,
    /// When the flag of the model steps back, and for how long, where that is not as usual.
    pub(crate) flag: fn(FlagBuilder) -> FlagBuilder,
    /// How long the degradation level stays up after its cause is gone.
    pub(crate) dwell: Duration,
    /// How the services behind the shop are probed.
    pub(crate) probes: ProbeTimes,
    /// How fast payments are made up for.
    pub(crate) replay: ReplayTimes,
    /// Where the shop's own database is.
    pub(crate) data_dir: PathBuf,
    /// The fleet that the shop joins, if it is not alone.
    pub(crate) fleet: Option<Membership>,
}

/// How long the shop waits for the head of each service's answers, and then for their bodies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) recommendations: Duration,
    pub(crate) users: Duration,
    pub(crate) payments: Duration,
    pub(crate) orders: Duration,
    pub(crate) notifications: Duration,
    pub(crate) balance: Duration,
    /// How long customers wait for the whole of their dashboard.
    pub(crate) dashboard: Duration,
}

impl Patience {
    /// How long a dashboard takes at most, whatever the services behind it do.
    pub(crate) const DASHBOARD: Duration = Duration::from_secs(3);
}

impl Settings {
    /// What a service would start with: everything at its default, and more patience for what matters more.
    pub(crate) fn serving(data_dir: PathBuf) -> Self {
        Self {
            patience: Patience {
                recommendations: Duration::from_secs(1),
                users: Duration::from_secs(2),
                payments: Duration::from_secs(5),
                orders: Duration::from_secs(1),
                notifications: Duration::from_secs(1),
                balance: Duration::from_secs(1),
                dashboard: Patience::DASHBOARD,
            },
            circuit: Policy::default(),
            flag: std::convert::identity,
            dwell: RegistryBuilder::DEFAULT_DWELL,
            probes: ProbeTimes {
                every: Duration::from_secs(5),
                fall: 3,
                rise: 2,
            },
            replay: ReplayTimes {
                pace: Duration::from_millis(50),
                after_failure: Duration::from_secs(1),
            },
            data_dir,
            fleet: None,
        }
    }

    /// The same for a [tour of a fleet](Pace), which has no time to wait.
    pub(crate) fn short(self) -> Self {
        Self {
            flag: Pace::flag,
            dwell: Pace::DWELL,
            ..self
        }
    }
}

/// A part of the stack that the shop can be run without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Safeguard {
    /// The circuit breakers on the calls to other services
    Breaker,
    /// The fallbacks behind those calls
    Fallback,
    /// The feature flag of the model that makes recommendations
    Flag,
    /// The aggregate that makes a dashboard of what there is; without it all services answer, or there is none
    Aggregate,
    /// The health paths, and health by gRPC
    Health,
    /// The layer that says beside an answer how it is degraded
    Degraded,
    /// The page of metrics
    Metrics,
    /// The probes of the services behind the shop, and what is skipped by their word
    Probes,
    /// What the replicas of a fleet share; without it each goes by itself
    Sync,
}

/// The safeguards that are on.
#[derive(Clone, Debug)]
pub(crate) struct Safeguards {
    left_out: Vec<Safeguard>,
}

impl Safeguards {
    pub(crate) fn all_but(left_out: &[Safeguard]) -> Self {
        Self {
            left_out: left_out.to_vec(),
        }
    }

    /// The layer, unless its safeguard is left out.
    pub(crate) fn keep<L>(&self, safeguard: Safeguard, layer: L) -> Option<L> {
        self.has(safeguard).then_some(layer)
    }

    pub(crate) fn has(&self, safeguard: Safeguard) -> bool {
        !self.left_out.contains(&safeguard)
    }

    /// The options by which another shop leaves out the same.
    pub(crate) fn as_options(&self) -> Vec<String> {
        let names = self.left_out().unwrap_or_default();
        let names = names.split(", ").filter(|name| !name.is_empty());
        names
            .flat_map(|name| ["--without".to_owned(), name.to_owned()])
            .collect()
    }

    /// What is left out, in words.
    pub(crate) fn left_out(&self) -> Option<String> {
        let names: Vec<_> = self
            .left_out
            .iter()
            .filter_map(|safeguard| Some(safeguard.to_possible_value()?.get_name().to_owned()))
            .collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}
