//! How patient the shop is, and which of its safeguards are on.

use std::time::Duration;

use brownout::{breaker::Policy, registry::RegistryBuilder};
use clap::ValueEnum;

/// What differs between serving and a tour, which has no time to wait for production's defaults.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How long the shop waits for the head of an answer, and then for its body.
    pub(crate) patience: Duration,
    /// When the circuits open and close.
    pub(crate) circuit: Policy,
    /// How long the degradation level stays up after its cause is gone.
    pub(crate) dwell: Duration,
}

impl Settings {
    /// What a service would start with: everything at its default.
    pub(crate) fn serving() -> Self {
        Self {
            patience: Duration::from_secs(1),
            circuit: Policy::default(),
            dwell: RegistryBuilder::DEFAULT_DWELL,
        }
    }
}

/// A part of the stack that the shop can be run without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Safeguard {
    /// The circuit breakers on the calls to other services
    Breaker,
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
