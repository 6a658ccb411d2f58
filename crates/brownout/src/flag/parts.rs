//! What a flag's state is made of, and which part of it decides.

use brownout_registry::{DegradationLevel, FeatureState, FlagCause};

use super::settings::Nanos;

/// What comes from outside, as it was when somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// What somebody imposes.
    pub(super) imposed: Option<FeatureState>,
    pub(super) level: DegradationLevel,
    /// Until when the fleet degrades the flag, if it does.
    pub(super) fleet: Option<Nanos>,
}

/// Everything that has a say. People before automation: what is imposed counts alone. Else the worst counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) imposed: Option<FeatureState>,
    pub(super) automatic: FeatureState,
    /// Whether what is automatic is the fleet's doing.
    pub(super) by_fleet: bool,
    pub(super) gate: FeatureState,
    pub(super) configured: FeatureState,
}

/// A change of the effective state, to be told to the world once no lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: FeatureState,
    pub(super) to: FeatureState,
    pub(super) cause: FlagCause,
}

impl Parts {
    pub(super) fn effective(self) -> FeatureState {
        self.imposed
            .unwrap_or_else(|| self.automatic.max(self.gate).max(self.configured))
    }

    /// What changes if this comes after `before`.
    pub(super) fn change_from(self, before: Self) -> Option<Change> {
        let (from, to) = (before.effective(), self.effective());
        (from != to).then(|| Change {
            from,
            to,
            cause: self.cause_since(before),
        })
    }

    fn cause_since(self, before: Self) -> FlagCause {
        if self.imposed != before.imposed {
            return FlagCause::Override;
        }
        // What holds the worse of the two states has just begun, or ceased, to do so.
        let worsens = self.effective() > before.effective();
        let (worse, better) = if worsens {
            (self, before)
        } else {
            (before, self)
        };
        let held = worse.effective();
        if worse.automatic == held && better.automatic != held {
            if worsens && self.by_fleet {
                FlagCause::Fleet
            } else if worsens {
                FlagCause::Errors
            } else {
                FlagCause::Expiry
            }
        } else if worse.gate == held && better.gate != held {
            FlagCause::Level
        } else {
            FlagCause::Configured
        }
    }
}

#[cfg(test)]
mod tests {
    use FeatureState::{Degraded, Disabled, Enabled};

    use super::*;

    const WELL: Parts = Parts {
        imposed: None,
        automatic: Enabled,
        by_fleet: false,
        gate: Enabled,
        configured: Enabled,
    };

    fn cause(before: Parts, after: Parts) -> Option<FlagCause> {
        after.change_from(before).map(|change| change.cause)
    }

    #[test]
    fn what_is_imposed_counts_alone_and_else_the_worst() {
        let worst = Parts {
            automatic: Degraded,
            gate: Disabled,
            ..WELL
        };
        assert_eq!(worst.effective(), Disabled);
        let imposed = Parts {
            imposed: Some(Enabled),
            ..worst
        };
        assert_eq!(imposed.effective(), Enabled);
    }

    #[test]
    fn the_cause_is_what_begins_or_ceases_to_decide() {
        let automatic = |automatic| Parts { automatic, ..WELL };
        let gate = |gate| Parts { gate, ..WELL };
        assert_eq!(cause(WELL, WELL), None);
        assert_eq!(cause(WELL, automatic(Degraded)), Some(FlagCause::Errors));
        assert_eq!(cause(automatic(Degraded), WELL), Some(FlagCause::Expiry));
        let by_fleet = Parts {
            by_fleet: true,
            ..automatic(Degraded)
        };
        assert_eq!(cause(WELL, by_fleet), Some(FlagCause::Fleet));
        assert_eq!(cause(by_fleet, WELL), Some(FlagCause::Expiry));
        assert_eq!(cause(WELL, gate(Disabled)), Some(FlagCause::Level));
        // One ends while the other begins: the one that is worse decides.
        assert_eq!(
            cause(automatic(Degraded), gate(Disabled)),
            Some(FlagCause::Level)
        );
        assert_eq!(
            cause(gate(Disabled), automatic(Degraded)),
            Some(FlagCause::Level)
        );
        let configured = Parts {
            configured: Degraded,
            ..WELL
        };
        assert_eq!(cause(WELL, configured), Some(FlagCause::Configured));
        let imposed = Parts {
            imposed: Some(Disabled),
            ..automatic(Degraded)
        };
        assert_eq!(cause(WELL, imposed), Some(FlagCause::Override));
    }
}
