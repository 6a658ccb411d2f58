//! Services to test with.

use std::time::Duration;

use brownout::{
    Dependency, Registry,
    core::BoxError,
    fallback::{Chain, Exercise, TierView},
    registry::{EventKind, Order, OverrideId, Status},
};
use brownout_testing::{Behaviour, ProbeHandle, ProbeService, TestError};
use tower::{Service, ServiceExt};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) type Probe = ProbeService<u32, u32, BoxError>;
pub(crate) type Handle = ProbeHandle<u32, u32, BoxError>;

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A service that answers each request with itself, and the handle that makes it do otherwise.
pub(crate) fn probe() -> (Probe, Handle) {
    ProbeService::new(Ok)
}

/// A service that fails with this text.
pub(crate) fn down(text: &'static str) -> (Probe, Handle) {
    let (service, handle) = probe();
    handle.always(failing(text));
    (service, handle)
}

/// A service that never answers.
pub(crate) fn hanging() -> (Probe, Handle) {
    let (service, handle) = probe();
    handle.always(Behaviour::hang());
    (service, handle)
}

pub(crate) fn failing(text: &'static str) -> Behaviour<u32, u32, BoxError> {
    Behaviour::answer(move |_| Err(TestError::new(text).into()))
}

pub(crate) fn panicking() -> Behaviour<u32, u32, BoxError> {
    Behaviour::panic_in_poll()
}

/// Makes a service ready and calls it.
pub(crate) async fn ask<S: Service<u32>>(
    service: &mut S,
    request: u32,
) -> Result<S::Response, S::Error> {
    service.ready().await?.call(request).await
}

/// A dependency of a registry of its own, which strangers know as `search`.
pub(crate) fn search() -> Dependency {
    let registry = Registry::builder().seed(7).build().unwrap();
    let search = registry.dependency("pg-search").public_name("search");
    search.register().unwrap()
}

pub(crate) fn order() -> Order {
    Order::new("kim", "drill", SECOND * 3_600)
}

/// A person says that a dependency is in this state, for an hour.
pub(crate) fn impose(dependency: &Dependency, status: Status) -> OverrideId {
    dependency.override_status(status, order()).unwrap()
}

pub(crate) fn view(chain: &Chain, tier: &str) -> TierView {
    chain.tiers().find(|view| view.name() == tier).unwrap()
}

/// A million a second: no cap, to these tests.
pub(crate) fn uncapped(share: f64) -> Exercise {
    Exercise::share(share).at_most(1_000_000)
}

/// What the chains of a registry have said, in its stream of events.
pub(crate) fn history(dependency: &Dependency) -> Vec<String> {
    let events = dependency.registry().recent_events();
    let said = events.iter().filter_map(|event| match &event.kind {
        EventKind::FallbackServed { tier, reason, .. } => Some(format!("{tier} serves: {reason}")),
        EventKind::FallbackEnded { tier, calls, .. } => Some(format!("{tier} ended after {calls}")),
        EventKind::TierSwitched {
            dependency,
            tier,
            on,
        } => Some(format!("{dependency}: {tier} on: {on}")),
        _ => None,
    });
    said.collect()
}

/// HTTP requests with bodies, and servers for them.
#[cfg(feature = "http")]
pub(crate) mod uploads {
    use brownout::{core::Marks, http::LocalBody};
    use brownout_testing::{Behaviour, ProbeHandle, ProbeService, TestError};
    use bytes::Bytes;
    use http::{Method, Request, Response, StatusCode};
    use http_body_util::{BodyExt, Full};

    /// A body that can be made again only where it is empty.
    pub(crate) type Upload = Request<Full<Bytes>>;
    pub(crate) type Server = ProbeService<Upload, Response<Full<Bytes>>, TestError>;
    pub(crate) type ServerHandle = ProbeHandle<Upload, Response<Full<Bytes>>, TestError>;

    pub(crate) fn request(method: Method, body: &'static str) -> Upload {
        Request::builder()
            .method(method)
            .uri("/users/7?full")
            .header("x-id", "7")
            .body(Full::from(body))
            .unwrap()
    }

    /// A server that answers with the body that it was sent.
    pub(crate) fn server() -> (Server, ServerHandle) {
        ProbeService::new(|request: Upload| Ok(Response::new(request.into_body())))
    }

    /// One that answers with this status.
    pub(crate) fn broken(status: StatusCode) -> (Server, ServerHandle) {
        let (server, handle) = server();
        handle.always(Behaviour::answer(move |_| {
            let mut response = Response::new(Full::from("broken"));
            *response.status_mut() = status;
            Ok(response)
        }));
        (server, handle)
    }

    pub(crate) fn bad() -> Server {
        broken(StatusCode::BAD_GATEWAY).0
    }

    pub(crate) fn marks<B>(response: &Response<B>) -> Vec<String> {
        let marks = response.extensions().get::<Marks>();
        marks
            .iter()
            .flat_map(|marks| marks.iter())
            .map(ToString::to_string)
            .collect()
    }

    pub(crate) async fn text<B>(response: Response<LocalBody<B>>) -> String
    where
        B: http_body::Body<Data: AsRef<[u8]>, Error: std::fmt::Debug>,
    {
        let LocalBody::Inner(body) = response.into_body() else {
            panic!("somebody's own body");
        };
        let bytes = body.collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}
