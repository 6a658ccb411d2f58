//! A call to a service behind the shop, from its request to the whole of its answer.

use std::{convert::Infallible, error::Error, fmt};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{Request, Response, StatusCode},
    response::IntoResponse,
};
use brownout::{
    core::{Reject, Rejected},
    fallback::Cause,
    http::Unavailable,
    registry::Status,
};
use serde::de::DeserializeOwned;

use crate::{client::Backend, problem::Problem};

/// More than any service behind this shop has to say.
const MAX_BODY: usize = 256 * 1024;

/// Why a call has no answer.
#[derive(Clone, Debug)]
pub(crate) enum CallError {
    /// The circuit is open: the service was not called.
    Refused(Rejected),
    /// A probe or a person says that the service is down: it was not called.
    KnownDown,
    /// No connection could be made: the service was not called.
    Unreachable,
    /// There was no answer in time.
    TimedOut,
    /// The service says that it failed.
    Failed,
    /// The connection broke before the whole answer was there.
    BrokeOff,
    /// The answer is none that the shop understands.
    Nonsense,
}

impl Backend {
    /// Makes a call and reads the answer to its end: half an answer must not go out under a 200, and somebody else can
    /// still be asked for a whole one. Of all failing statuses, only a 4xx is an answer.
    pub(crate) async fn call(&self, request: Request<Body>) -> Result<Response<Bytes>, CallError> {
        let dependency = self.public_name();
        let failed = |error: CallError, cause: &dyn fmt::Display| {
            // The cause is for the log. A circuit that opens keeps this from being a line for each request.
            tracing::warn!(dependency, %cause, "a call failed: it {error}");
            error
        };
        let response = self.send(request).await.map_err(|error| {
            let kind = if error.is_connect() {
                CallError::Unreachable
            } else {
                CallError::BrokeOff
            };
            failed(kind, &chain(&error))
        })?;
        if let Some(rejected) = response.extensions().get::<Rejected>() {
            return Err(CallError::Refused(rejected.clone()));
        }
        let (head, body) = response.into_parts();
        let body = to_bytes(body, MAX_BODY).await;
        match (head.status, body) {
            (StatusCode::GATEWAY_TIMEOUT, _) => Err(failed(CallError::TimedOut, &head.status)),
            (status, _) if status.is_server_error() => Err(failed(CallError::Failed, &status)),
            (_, Ok(body)) => Ok(Response::from_parts(head, body)),
            (_, Err(error)) => Err(failed(CallError::BrokeOff, &chain(&error))),
        }
    }

    /// Fails while a probe or a person says that the service is down. For parts of a page, which have nobody further to
    /// ask; a chain of fallbacks looks by itself.
    pub(crate) fn unless_down(&self) -> Result<(), CallError> {
        let is_down = self.dependency().status_without_traffic() == Status::Unhealthy;
        if is_down {
            Err(CallError::KnownDown)
        } else {
            Ok(())
        }
    }

    /// Gets something that there is or is not.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<T>, CallError> {
        let request = Request::get(self.uri(path)).body(Body::empty());
        let response = self.call(request.map_err(|_| CallError::Nonsense)?).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::OK => read(response.body()).map(Some),
            status => {
                tracing::warn!(dependency = self.public_name(), %status, "a call failed");
                Err(CallError::Failed)
            }
        }
    }
}

/// The breaker's own 503, which says when to come back.
fn refused(rejected: &Rejected) -> Response<Body> {
    let strategy = Unavailable::new();
    let Ok::<_, Infallible>(response) =
        Reject::<Response<Body>, _>::reject(&strategy, rejected.clone());
    response.map(Body::new)
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(json).map_err(|error| {
        tracing::warn!(%error, "an answer makes no sense");
        CallError::Nonsense
    })
}

impl CallError {
    /// What a chain of fallbacks has to know: whether the call may have had an effect.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Refused(rejected) => Cause::rejected(rejected),
            Self::KnownDown => Cause::unhealthy(),
            Self::Unreachable => Cause::connect("no connection"),
            Self::TimedOut => Cause::timed_out("no answer in time"),
            Self::Failed => Cause::failed("failing status"),
            Self::BrokeOff => Cause::failed("broken connection"),
            Self::Nonsense => Cause::failed("senseless answer"),
        }
    }

    /// What the shop answers where nobody else does.
    pub(crate) fn problem(&self, backend: &Backend) -> Response<Body> {
        let status = match self {
            Self::Refused(rejected) => return refused(rejected),
            Self::KnownDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        };
        let name = backend.public_name();
        Problem::new(status, format!("{name} {self}"))
            .on_account_of(name)
            .into_response()
    }
}

/// What the service did, without its name.
impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused(_) | Self::KnownDown => "is not called at the moment",
            Self::Unreachable => "cannot be reached",
            Self::TimedOut => "did not answer in time",
            Self::Failed => "failed",
            Self::BrokeOff => "broke off its answer",
            Self::Nonsense => "gave an answer that makes no sense",
        })
    }
}

impl Error for CallError {}

/// An error with its causes, which for a connection is where the news is. Wrappers that only repeat it are left out.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let news = error.to_string();
        if !text.ends_with(&news) {
            text = format!("{text}: {news}");
        }
        cause = error.source();
    }
    text
}
