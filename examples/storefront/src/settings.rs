//! How patient the shop is, and which of its safeguards are on.

use std::{path::PathBuf, time::Duration};

use brownout::{breaker::Policy, flag::FlagBuilder, registry::RegistryBuilder};
use clap::ValueEnum;

use crate::outbox::ReplayTimes;

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
    /// How fast payments are made up for.
    pub(crate) replay: ReplayTimes,
    /// Where the shop's own database is.
    pub(crate) data_dir: PathBuf,
}

/// How long the shop waits for the head of each service's answers, and then for their bodies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) recommendations: Duration,
    pub(crate) users: Duration,
    pub(crate) payments: Duration,
}

impl Settings {
    /// What a service would start with: everything at its default, and more patience for what matters more.
    pub(crate) fn serving(data_dir: PathBuf) -> Self {
        Self {
            patience: Patience {
                recommendations: Duration::from_secs(1),
                users: Duration::from_secs(2),
                payments: Duration::from_secs(5),
            },
            circuit: Policy::default(),
            flag: std::convert::identity,
            dwell: RegistryBuilder::DEFAULT_DWELL,
            replay: ReplayTimes {
                pace: Duration::from_millis(50),
                after_failure: Duration::from_secs(1),
            },
            data_dir,
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
        (!self.left_out.contains(&safeguard)).then_some(layer)
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
