//! Asking the services behind the shop how they are, whether or not somebody needs them.
//!
//! A circuit learns from calls, so that it knows nothing before somebody has waited in vain, and nothing of a recovery
//! until somebody is let through. A probe finds out for both.

use std::time::Duration;

use axum::http::Uri;
use brownout::{Dependency, registry::Probe, report::probe};
use tower::BoxError;

use crate::{client::http_client, store::Database, system::Backends};

/// How often the services are asked, and how often in a row they have to say the same to be believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProbeTimes {
    /// Also how long one may take to answer, if that is not longer than a second.
    pub(crate) every: Duration,
    /// Failures.
    pub(crate) fall: u32,
    /// Successes.
    pub(crate) rise: u32,
}

const TIMEOUT: Duration = Duration::from_secs(1);

/// Probes all of them, from when the registry is driven.
///
/// The client is of the same kind as the shop's, but nothing stands between it and the service: a breaker would answer in
/// the service's place.
pub(crate) fn attach(
    backends: &Backends,
    database: (&Dependency, &Database),
    times: ProbeTimes,
) -> Result<(), BoxError> {
    for backend in backends.all() {
        let uri: Uri = backend.uri("/health").parse()?;
        let check = probe::http(http_client(), uri);
        backend.dependency().probe(times.of(Probe::new(check)))?;
    }
    let (dependency, database) = (database.0, database.1.clone());
    let check = move || {
        let database = database.clone();
        async move { database.check().await }
    };
    dependency.probe(times.of(Probe::new(check)))?;
    Ok(())
}

impl ProbeTimes {
    fn of<F>(self, probe: Probe<F>) -> Probe<F> {
        probe
            .interval(self.every)
            .timeout(self.every.min(TIMEOUT))
            .fall(self.fall)
            .rise(self.rise)
    }
}
