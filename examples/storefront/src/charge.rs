//! A charge: the call to the payment service, and how it can end without one.

use std::{fmt, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use brownout::fallback::{Cause, Exhausted};

use crate::{
    call::CallError,
    client::Backend,
    payment::{Key, Payment},
};

/// Why nothing was charged, as far as is known.
#[derive(Clone, Debug)]
pub(crate) enum ChargeError {
    /// The call has no answer. Unless it was never sent, the charge may have been made.
    Call(CallError),
    /// The payment service will not make it.
    Declined,
    /// The key belongs to another payment.
    KeyReused,
    /// The payment service was not called, and no more payments may wait for it.
    QueueFull,
}

/// For what cannot be put into words.
const NONSENSE: ChargeError = ChargeError::Call(CallError::Nonsense);

/// Charges. Making the call again is safe: the payment service charges once a key.
pub(crate) async fn charge(payments: &Backend, payment: &Payment) -> Result<(), ChargeError> {
    let order = serde_json::to_vec(&payment.order).map_err(|_| NONSENSE)?;
    let request = Request::post(payments.uri("/charges"))
        .header(Key::HEADER, payment.key.as_str())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(order));
    let request = request.map_err(|_| NONSENSE)?;
    match payments
        .call(request)
        .await
        .map_err(ChargeError::Call)?
        .status()
    {
        StatusCode::OK | StatusCode::CREATED => Ok(()),
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => Err(ChargeError::KeyReused),
        status if status.is_client_error() && !come_again(status) => Err(ChargeError::Declined),
        _ => Err(ChargeError::Call(CallError::Failed)),
    }
}

/// Of the statuses that blame the caller, these say nothing against the payment itself.
fn come_again(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
    )
}

impl ChargeError {
    /// What a chain of fallbacks has to know: whether the charge may have been made.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Call(error) => error.cause(),
            Self::Declined => Cause::failed("declined"),
            Self::KeyReused => Cause::failed("key of another payment"),
            Self::QueueFull => Cause::failed("the queue is full"),
        }
    }

    /// When it is worth trying again, where that is known.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Call(CallError::Refused(rejected)) => rejected.retry_after(),
            _ => None,
        }
    }
}

/// A chain fails of itself only where its time is up.
impl From<Exhausted> for ChargeError {
    fn from(_: Exhausted) -> Self {
        Self::Call(CallError::TimedOut)
    }
}

impl fmt::Display for ChargeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Declined => f.write_str("declined the payment"),
            Self::KeyReused => f.write_str("knows another payment by that key"),
            Self::QueueFull => f.write_str("are not made at the moment, and no more can wait"),
        }
    }
}

impl std::error::Error for ChargeError {}
