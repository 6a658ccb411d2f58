//! Probes that ask services: any tower service with a request is a check for a registry's
//! [`Probe`](crate::registry::Probe).
//!
//! The registry knows no tower; its probes take closures, and these functions make them.
//!
//! ```
//! use std::time::Duration;
//! use brownout::{Registry, core::ErrIsFailure, registry::Probe, report::probe};
//! use tower::{BoxError, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let registry = Registry::new();
//! # let database = service_fn(|query: &'static str| async move { Ok::<_, BoxError>(query.len()) });
//! let users = registry.dependency("users").register()?;
//! let check = probe::service(database, || "select 1", ErrIsFailure);
//! users.probe(Probe::new(check).interval(Duration::from_secs(10)))?;
//! let _driver = registry.drive(); // probes run while this is kept
//! # Ok(()) }
//! ```
//!
//! A check passes where the answer is judged a success, and only there: a neutral one, such as a refusal by a circuit in
//! between, shows nothing. Put the probe beside the circuit, onto the bare client, so that it sees the dependency
//! itself. The probe's timeout bounds readiness, call and answer together; where it cuts a check off, the next one
//! has the same instance of the service again. What a check says when it fails is private.

use std::{
    error::Error,
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
};

use tower_service::Service;

use crate::core::{Classify, Verdict, said::said};

/// Why a check failed; for operators, for it quotes the service's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckFailed(String);

impl fmt::Display for CheckFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for CheckFailed {}

/// A check that sends this request to a service and judges the outcome.
///
/// The service need be neither `Clone` nor `Sync`: a probe's checks never overlap, and all use the one instance. Where
/// somebody else calls the closure while a check is under way, that call fails.
pub fn service<S, Req, M, C>(
    service: S,
    request: M,
    classify: C,
) -> impl Fn() -> CheckFuture + Send + Sync + 'static
where
    S: Service<Req, Error: fmt::Display, Future: Send> + Send + 'static,
    S::Response: Send,
    S::Error: Send,
    M: Fn() -> Req + Send + Sync + 'static,
    Req: Send,
    C: Classify<S::Response, S::Error> + Clone + Send + Sync + 'static,
{
    checking(service, request, move |outcome| {
        match (classify.classify(outcome), outcome) {
            (Verdict::Success, _) => Ok(()),
            (_, Err(error)) => Err(said(error)),
            (Verdict::Neutral, Ok(_)) => Err("the answer says nothing".to_owned()),
            (_, Ok(_)) => Err("the answer is a failure".to_owned()),
        }
    })
}

/// A check that GETs this URI and passes on a 2xx.
///
/// What the answer's body says is not read. The client's requests need a body that is empty by
/// [`default`](Default::default).
#[cfg(feature = "http")]
pub fn http<S, B, ResBody>(
    client: S,
    uri: http::Uri,
) -> impl Fn() -> CheckFuture + Send + Sync + 'static
where
    S: Service<http::Request<B>, Response = http::Response<ResBody>> + Send + 'static,
    S::Error: fmt::Display + Send,
    S::Future: Send,
    B: Default + Send,
    ResBody: Send,
{
    let request = move || {
        let mut request = http::Request::new(B::default());
        *request.uri_mut() = uri.clone();
        request
    };
    checking(client, request, |outcome| match outcome {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("answered {}", answer.status())),
        Err(error) => Err(said(error)),
    })
}

/// The future of a check. Boxed, as it would be by the probe.
pub type CheckFuture = std::pin::Pin<Box<dyn Future<Output = Result<(), CheckFailed>> + Send>>;

fn checking<S, Req, M, J>(
    service: S,
    request: M,
    judge: J,
) -> impl Fn() -> CheckFuture + Send + Sync + 'static
where
    S: Service<Req, Future: Send> + Send + 'static,
    S::Response: Send,
    S::Error: Send,
    M: Fn() -> Req + Send + Sync + 'static,
    Req: Send,
    J: Fn(Result<&S::Response, &S::Error>) -> Result<(), String> + Send + Sync + 'static,
{
    let checker = Arc::new((Mutex::new(Some(service)), request, judge));
    move || {
        let checker = Arc::clone(&checker);
        Box::pin(async move {
            let (place, request, judge) = &*checker;
            let mut borrowed = Borrowed::from(place);
            let Some(service) = borrowed
                .as_mut()
                .and_then(|borrowed| borrowed.service.as_mut())
            else {
                return Err(CheckFailed("another check is under way".to_owned()));
            };
            let outcome = match poll_fn(|cx| service.poll_ready(cx)).await {
                Ok(()) => service.call(request()).await,
                Err(error) => Err(error),
            };
            judge(outcome.as_ref()).map_err(CheckFailed)
        })
    }
}

/// A service taken from its place, to which it returns however the check ends: cancelled or with a panic, too.
struct Borrowed<'a, S> {
    place: &'a Mutex<Option<S>>,
    service: Option<S>,
}

impl<'a, S> Borrowed<'a, S> {
    fn from(place: &'a Mutex<Option<S>>) -> Option<Self> {
        let service = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        service.is_some().then_some(Self { place, service })
    }
}

impl<S> Drop for Borrowed<'_, S> {
    fn drop(&mut self) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = self.service.take();
    }
}
