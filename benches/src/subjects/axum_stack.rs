//! The server under load, called in its own process: what its whole stack adds to an axum route, without a network.
//!
//! A route with tower-http's timeout alone stands beside them: axum itself pays for the first layer around a route,
//! whatever it is, with boxes for the clone and the call. What three servers keep where there is a network is the row
//! [`served`](crate::load).

use axum::Router;

use super::exchange::Exchange;
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive};
use crate::load::app;

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("axum-stack", Column::Brownout, || asked(app::whole())),
    Subject::service("axum-stack", Column::Tower, || asked(app::with_timeout())),
    Subject::service("axum-stack", Column::Floor, || asked(app::bare())),
];

/// With a state, as `axum::serve` gives one to each connection's routes: without, every request would apply the layers
/// anew.
fn asked(routes: Router) -> Box<dyn Drive> {
    let routes = routes.with_state(());
    ServiceDrive::boxed(Exchange::get_with_headers("/", routes))
}
