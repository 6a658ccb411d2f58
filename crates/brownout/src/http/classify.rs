use std::time::Duration;

use http::{Response, StatusCode, header::RETRY_AFTER};

use crate::core::{Classify, Rejected, Verdict};

/// Judges an HTTP call by its status: an error and a 5xx fail, a 4xx is neutral, all else succeeds.
///
/// A 4xx is the caller's doing and says nothing of the dependency's health; so is 429, which a rate limiter answers
/// that works. An answer that carries a [`Rejected`] in its extensions is a refusal by an inner layer: neutral.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpStatus {
    trips: bool,
}

impl HttpStatus {
    /// The rules above.
    pub const fn new() -> Self {
        Self { trips: false }
    }

    /// A 503 with a `Retry-After` in seconds opens the circuit for that long, at once ([`Verdict::Trip`]).
    ///
    /// Only for a dependency that is trusted to speak for all of itself: one overloaded instance behind a balancer
    /// would take the others down with it. A date in `Retry-After` is not read, for it would make a decision hang
    /// on two wall clocks.
    pub const fn trip_on_retry_after(mut self) -> Self {
        self.trips = true;
        self
    }
}

impl<B, E> Classify<Response<B>, E> for HttpStatus {
    #[inline]
    fn classify(&self, outcome: Result<&Response<B>, &E>) -> Verdict {
        let Ok(response) = outcome else {
            return Verdict::Failure;
        };
        let status = response.status();
        if status.is_success() || status.is_redirection() || status.is_informational() {
            Verdict::Success
        } else if status.is_client_error() || response.extensions().get::<Rejected>().is_some() {
            Verdict::Neutral
        } else if self.trips && status == StatusCode::SERVICE_UNAVAILABLE {
            match retry_after(response) {
                Some(open_for) => Verdict::Trip { open_for },
                None => Verdict::Failure,
            }
        } else {
            Verdict::Failure
        }
    }
}

fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let seconds = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}
