//! Health paths in front of a service that says that it was reached.

use std::pin::pin;

use brownout::{
    Criticality, Dependency, Registry,
    http::LocalBody,
    registry::{Report, Reporter, ReporterKind, Status},
    report::{Health, HealthLayer},
};
use brownout_testing::{Behaviour, MockBody, ProbeHandle, ProbeService, TestError};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use tower::{Layer, ServiceExt};

pub(crate) type Call = Request<MockBody>;
pub(crate) type Answer = Response<MockBody>;
pub(crate) type Inner = ProbeService<Call, Answer, TestError>;
pub(crate) type InnerHandle = ProbeHandle<Call, Answer, TestError>;

pub(crate) fn registry() -> Registry {
    Registry::builder().seed(1).build().unwrap()
}

pub(crate) fn dependency(registry: &Registry, name: &str, criticality: Criticality) -> Dependency {
    let builder = registry.dependency(name).criticality(criticality);
    builder.register().unwrap()
}

/// Says so until it is dropped.
pub(crate) fn say(dependency: &Dependency, status: Status) -> Reporter {
    let reporter = dependency.reporter(ReporterKind::Code, "test");
    reporter.report(Report::new(status));
    reporter
}

pub(crate) fn inner() -> (Inner, InnerHandle) {
    ProbeService::with(Behaviour::answer(|_| {
        Ok(Response::new(MockBody::full("inner")))
    }))
}

pub(crate) fn in_front(layer: &HealthLayer) -> (Health<Inner>, InnerHandle) {
    let (inner, handle) = inner();
    (layer.layer(inner), handle)
}

pub(crate) fn request(method: Method, uri: &str) -> Call {
    let builder = Request::builder().method(method).uri(uri);
    builder.body(MockBody::empty()).unwrap()
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?;
        Some(value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

pub(crate) async fn ask(layer: &HealthLayer, method: Method, uri: &str) -> Seen {
    let (service, _) = in_front(layer);
    seen(service.oneshot(request(method, uri)).await.unwrap()).await
}

pub(crate) async fn get(layer: &HealthLayer, uri: &str) -> Seen {
    ask(layer, Method::GET, uri).await
}

pub(crate) async fn seen(answer: Response<LocalBody<MockBody>>) -> Seen {
    let (head, body) = answer.into_parts();
    let mut body = pin!(body);
    let mut text = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        text.extend_from_slice(frame.unwrap().data_ref().unwrap());
    }
    Seen {
        status: head.status.as_u16(),
        headers: head.headers,
        text: String::from_utf8(text).unwrap(),
    }
}
