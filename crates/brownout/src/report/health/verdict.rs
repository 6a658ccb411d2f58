use brownout_registry::{Status, SystemHealth};
use http::StatusCode;

/// The three words of health+json (draft-inadarei-api-health-check-06, section 3.1); the worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Pass,
    Warn,
    Fail,
}

impl Verdict {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    pub(super) const fn failed_if(failed: bool) -> Self {
        if failed { Self::Fail } else { Self::Pass }
    }

    /// What load balancers and orchestrators read: anything but a failure is well.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Pass | Self::Warn => StatusCode::OK,
            Self::Fail => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<Status> for Verdict {
    fn from(status: Status) -> Self {
        match status {
            Status::Healthy => Self::Pass,
            Status::Unknown | Status::Degraded => Self::Warn,
            Status::Unhealthy => Self::Fail,
        }
    }
}

impl From<SystemHealth> for Verdict {
    fn from(health: SystemHealth) -> Self {
        match health {
            SystemHealth::Healthy => Self::Pass,
            SystemHealth::Degraded => Self::Warn,
            SystemHealth::Critical => Self::Fail,
        }
    }
}
