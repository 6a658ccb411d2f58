//! The switch in front of a service's routes: it counts calls and makes them fail.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::{sync::watch, time::sleep};

use super::{Fault, HEALTH, SECRET, half_body};

/// What is broken, and how many calls have come.
#[derive(Debug, Default)]
pub(super) struct Switch {
    fault: watch::Sender<Fault>,
    calls: AtomicU64,
}

impl Switch {
    pub(super) fn fault(&self) -> Fault {
        *self.fault.borrow()
    }

    pub(super) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

/// Lets a call through to the routes, or does to it what the switch says.
pub(super) async fn fail(
    State(switch): State<Arc<Switch>>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path() != HEALTH {
        switch.calls.fetch_add(1, Ordering::Relaxed);
    }
    match switch.fault() {
        // A closed port lets nobody in; who was in already is served until the connection is cut.
        Fault::None | Fault::ClosedPort => next.run(request).await,
        Fault::Status(status) => (status, [("x-trace", SECRET)], SECRET).into_response(),
        Fault::Latency(time) => {
            sleep(time).await;
            next.run(request).await
        }
        Fault::Hang => std::future::pending().await,
        Fault::HangAfterCharge => {
            drop(next.run(request).await);
            std::future::pending().await
        }
        Fault::HalfBody => half_body::cut(next.run(request).await).await,
    }
}
