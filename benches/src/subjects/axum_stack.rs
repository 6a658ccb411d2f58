//! The server under load, called in its own process: what its whole stack adds to an axum route, without a network.
//!
//! What the same two cost where there is one is the row [`served`](crate::load).

use super::exchange::Exchange;
use super::{Column, Subject};
use crate::drive::ServiceDrive;
use crate::load::app;

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("axum-stack", Column::Brownout, || {
        ServiceDrive::boxed(Exchange::get("/", app::whole()))
    }),
    Subject::service("axum-stack", Column::Floor, || {
        ServiceDrive::boxed(Exchange::get("/", app::bare()))
    }),
];
