//! What the tour breaks, in order.

use std::time::Duration;

use axum::http::StatusCode;

use super::stage::Service;
use crate::upstream::Fault;

/// A service and a way for it to fail.
#[derive(Debug)]
pub(super) struct Outage {
    pub(super) service: Service,
    /// As the subject of a sentence.
    pub(super) who: &'static str,
    pub(super) fault: Fault,
    /// What the shop answers until the circuit opens.
    pub(super) answer: StatusCode,
}

pub(super) const OUTAGES: [Outage; 7] = [
    Outage {
        service: Service::Recommendations,
        who: "a recommender that answers 500",
        fault: Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
        answer: StatusCode::BAD_GATEWAY,
    },
    Outage {
        service: Service::Recommendations,
        who: "a slow recommender",
        // Longer than the shop waits, shorter than a visitor does.
        fault: Fault::Latency(Duration::from_secs(3)),
        answer: StatusCode::GATEWAY_TIMEOUT,
    },
    Outage {
        service: Service::Recommendations,
        who: "a recommender that hangs",
        fault: Fault::Hang,
        answer: StatusCode::GATEWAY_TIMEOUT,
    },
    Outage {
        service: Service::Recommendations,
        who: "a dead recommender",
        fault: Fault::ClosedPort,
        answer: StatusCode::BAD_GATEWAY,
    },
    Outage {
        service: Service::Recommendations,
        who: "a recommender that breaks off",
        fault: Fault::HalfBody,
        answer: StatusCode::BAD_GATEWAY,
    },
    Outage {
        service: Service::Users,
        who: "a users service that hangs",
        fault: Fault::Hang,
        answer: StatusCode::GATEWAY_TIMEOUT,
    },
    Outage {
        service: Service::Users,
        who: "a dead users service",
        fault: Fault::ClosedPort,
        answer: StatusCode::BAD_GATEWAY,
    },
];
