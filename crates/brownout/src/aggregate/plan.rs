use std::time::Duration;

use brownout_registry::DegradationLevel;

use super::{
    covering::Covering,
    failed::Covered,
    meter::{Named, PartCounts},
    outcome::Name,
};

/// What all calls of an aggregate share: its parts' descriptions and its limits.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) parts: Box<[About]>,
    pub(super) within: Option<Duration>,
    pub(super) concurrency: usize,
    /// Whether any part stands for a dependency.
    pub(super) has_covering: bool,
    /// Set where somebody wants to know what becomes of the parts.
    pub(super) named: Option<Named>,
}

/// A part's description.
#[derive(Debug)]
pub(super) struct About {
    pub(super) name: Name,
    pub(super) required: bool,
    pub(super) timeout: Option<Duration>,
    /// Set where the part stands for a dependency.
    pub(super) covering: Option<Covering>,
    pub(super) counts: Option<PartCounts>,
}

impl About {
    pub(super) fn covered(&self) -> Covered {
        match &self.covering {
            Some(covering) => covering.covered(),
            None => Covered {
                public_name: None,
                level: DegradationLevel::Full,
            },
        }
    }
}
