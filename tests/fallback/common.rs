//! What these chains have in common: what they cover, and how one looks at their answers.

use std::net::{Ipv4Addr, TcpListener};

use brownout::{
    Dependency, Registry,
    breaker::{Circuit, PolicyBuilder},
    core::Marks,
    registry::EventKind,
};
use brownout_tests::{circuit::lasting, client};
use http::Response;
use http_body::Body;
use tower::Service;

/// A dependency with a name for operators and one for strangers, and a circuit that stays open once it is.
pub(crate) fn recommendations() -> (Dependency, Circuit) {
    covered(lasting())
}

/// The same with a circuit of this policy.
pub(crate) fn covered(policy: PolicyBuilder) -> (Dependency, Circuit) {
    let registry = Registry::new();
    let recs = registry.dependency("recs-db-7.internal");
    let recs = recs.public_name("recommendations").register().unwrap();
    let circuit = Circuit::builder(&recs)
        .policy(policy.build().unwrap())
        .build();
    (recs, circuit)
}

/// What the marks of an answer say.
pub(crate) fn marks<B>(response: &Response<B>) -> String {
    let marks = response.extensions().get::<Marks>();
    let marks = marks.into_iter().flat_map(Marks::iter);
    marks.map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The same in a header: a caller at the other end of a connection sees no extensions.
pub(crate) async fn show_marks<B>(mut response: Response<B>) -> Response<B> {
    let shown = marks(&response).parse().unwrap();
    response.headers_mut().insert("x-marks", shown);
    response
}

/// What a caller gets: the status, the body, and the marks, from the header or the extensions.
pub(crate) async fn see<S, Req, B>(service: &mut S, request: Req) -> (u16, String, String)
where
    S: Service<Req, Response = Response<B>, Error: std::fmt::Debug>,
    B: Body<Error: std::fmt::Debug>,
{
    let response = client::read(service, request).await;
    let marks = match response.headers().get("x-marks") {
        Some(shown) => shown.to_str().unwrap().to_owned(),
        None => marks(&response),
    };
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), body, marks)
}

/// A good answer of this text, with or without marks.
pub(crate) fn fine(body: &str, marks: &str) -> (u16, String, String) {
    (200, body.to_owned(), marks.to_owned())
}

/// A URI at which nobody listens.
pub(crate) fn nowhere() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

/// What the registry has heard of tiers: who began to serve and why, and who ended after how many calls.
pub(crate) fn spells(dependency: &Dependency) -> Vec<String> {
    let events = dependency.registry().recent_events();
    let said = events.iter().filter_map(|event| match &event.kind {
        EventKind::FallbackServed { tier, reason, .. } => Some(format!("{tier}: {reason}")),
        EventKind::FallbackEnded { tier, calls, .. } => Some(format!("{tier} ended: {calls}")),
        _ => None,
    });
    said.collect()
}
