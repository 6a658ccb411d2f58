//! What the tour breaks, in order.

use std::{fmt, time::Duration};

use axum::http::StatusCode;

use crate::upstream::Fault;

/// A service that the tour breaks, or looks at while another is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Recommendations,
    Users,
    Payments,
}

/// Services that fail at the same time, in the same way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) broken: &'static [Service],
    fault: Fault,
}

/// One of the services that fail in an outage. Printed as the subject of a sentence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patient {
    pub(super) service: Service,
    pub(super) fault: Fault,
    /// Whether everything else fails too.
    together: bool,
}

const FAULTS: [Fault; 6] = [
    Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
    // Longer than the shop waits, shorter than a visitor does.
    Fault::Latency(Duration::from_secs(3)),
    Fault::Hang,
    Fault::HangAfterCharge,
    Fault::ClosedPort,
    Fault::HalfBody,
];

/// Each service in each way, and then all of them at once.
pub(super) fn outages() -> impl Iterator<Item = Outage> {
    let alone: [&[Service]; 3] = [
        &[Service::Recommendations],
        &[Service::Users],
        &[Service::Payments],
    ];
    let of = |broken: &'static [Service]| {
        let charges = broken.contains(&Service::Payments);
        FAULTS
            .into_iter()
            .filter(move |fault| charges || *fault != Fault::HangAfterCharge)
            .map(move |fault| Outage { broken, fault })
    };
    alone.into_iter().chain([&Service::ALL[..]]).flat_map(of)
}

impl Service {
    pub(super) const ALL: [Self; 3] = [Self::Recommendations, Self::Users, Self::Payments];

    /// The pages that need it: the one that is asked for while it works, and while it is broken one for each of the
    /// tiers behind it. Customer 42 has been seen before, 4711 is only in the shop's own database, and 999999 is not
    /// even there.
    pub(super) fn pages(self, broken: bool) -> &'static [&'static str] {
        match (self, broken) {
            (Self::Recommendations, false) => &["/api/v1/recommendations?user=42"],
            (Self::Recommendations, true) => {
                &["/api/v1/recommendations?user=42", "/api/v1/recommendations"]
            }
            (Self::Users, false) => &["/api/v1/users/42/profile"],
            (Self::Users, true) => &[
                "/api/v1/users/42/profile",
                "/api/v1/users/4711/profile",
                "/api/v1/users/999999/profile",
            ],
            (Self::Payments, _) => &[],
        }
    }

    /// Where its answers say they come from while it is broken, if they are asked for at least three times.
    pub(super) fn tiers(self) -> &'static str {
        match self {
            Self::Recommendations => "rules/popular",
            Self::Users => "cache/database/minimal",
            Self::Payments => "outbox",
        }
    }

    /// What it answers when it works.
    pub(super) fn success(self) -> StatusCode {
        match self {
            Self::Recommendations | Self::Users => StatusCode::OK,
            Self::Payments => StatusCode::CREATED,
        }
    }

    /// What customers are answered when it does not.
    pub(super) fn stand_in(self) -> StatusCode {
        match self {
            Self::Recommendations | Self::Users => StatusCode::OK,
            Self::Payments => StatusCode::ACCEPTED,
        }
    }

    /// What strangers call the service behind it.
    pub(super) fn dependency(self) -> &'static str {
        match self {
            Self::Recommendations => "recommendations",
            Self::Users => "users",
            Self::Payments => "payments",
        }
    }

    /// Who it is.
    fn noun(self) -> &'static str {
        match self {
            Self::Recommendations => "recommender",
            Self::Users => "users service",
            Self::Payments => "payment service",
        }
    }
}

impl Patient {
    /// Why others answer in its place while it is still called.
    pub(super) fn reasons(self) -> &'static [&'static str] {
        match self.fault {
            Fault::Latency(_) | Fault::Hang | Fault::HangAfterCharge => &["timed-out"],
            // A connection that was open already breaks; and what is queued is tried again meanwhile, which may open
            // the circuit.
            Fault::ClosedPort => &["unreachable", "failed", "circuit-open"],
            Fault::None | Fault::Status(_) | Fault::HalfBody => &["failed"],
        }
    }
}

impl Outage {
    /// Those who fail, one by one. Only who charges can hang after the charge; the others just hang meanwhile.
    pub(super) fn patients(&self) -> impl Iterator<Item = Patient> + use<> {
        let Self { broken, fault } = *self;
        broken.iter().map(move |service| Patient {
            service: *service,
            fault: match (service, fault) {
                (Service::Recommendations | Service::Users, Fault::HangAfterCharge) => Fault::Hang,
                (_, fault) => fault,
            },
            together: broken.len() > 1,
        })
    }

    pub(super) fn breaks(&self, service: Service) -> bool {
        self.broken.contains(&service)
    }

    /// The level while all of that is known to be down.
    pub(super) fn level(&self) -> &'static str {
        if self.breaks(Service::Payments) {
            "emergency"
        } else if self.breaks(Service::Users) {
            "reduced"
        } else {
            "full"
        }
    }
}

/// What customers get from it.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recommendations => "recommendations",
            Self::Users => "profiles",
            Self::Payments => "payments",
        })
    }
}

impl fmt::Display for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = self.service.noun();
        f.write_str("a ")?;
        match self.fault {
            Fault::None => write!(f, "{noun} that works"),
            Fault::Status(status) => write!(f, "{noun} that answers {}", status.as_u16()),
            Fault::Latency(_) => write!(f, "slow {noun}"),
            Fault::Hang => write!(f, "{noun} that hangs"),
            Fault::ClosedPort => write!(f, "dead {noun}"),
            Fault::HalfBody => write!(f, "{noun} that breaks off"),
            Fault::HangAfterCharge => write!(f, "{noun} that hangs after the charge"),
        }?;
        f.write_str(if self.together { " (all down)" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_fails_in_every_way_alone_and_together() {
        let outages: Vec<_> = outages().collect();
        for service in Service::ALL {
            for fault in FAULTS {
                if fault == Fault::HangAfterCharge && service != Service::Payments {
                    continue;
                }
                let seen = |alone: bool| {
                    outages
                        .iter()
                        .filter(|outage| (outage.broken.len() == 1) == alone)
                        .flat_map(Outage::patients)
                        .any(|patient| patient.service == service && patient.fault == fault)
                };
                assert!(seen(true) && seen(false), "{service} {fault}");
            }
        }
    }
}
