//! A server that stands in for another, and a client that asks it.

use ::axum::{Router, routing::any};
use brownout_tests::{Server, client::HyperClient, server::Hits};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use tower::{Service, ServiceExt};

/// A server that answers `mirror` to everything, and counts.
pub(crate) async fn mirror(hits: &Hits) -> Server {
    let counted = hits.clone();
    let answer = any(async move || {
        counted.hit();
        "mirror"
    });
    Server::axum(Router::new().fallback(answer)).await
}

/// A client that asks this server, whatever the request's URI says.
pub(crate) fn at(
    server: &Server,
    client: HyperClient,
) -> impl Service<
    Request<Empty<Bytes>>,
    Response = Response<hyper::body::Incoming>,
    Error = hyper_util::client::legacy::Error,
    Future: Send,
> + Clone {
    let uri: http::Uri = server.uri("/").parse().unwrap();
    client.map_request(move |mut request: Request<_>| {
        *request.uri_mut() = uri.clone();
        request
    })
}
