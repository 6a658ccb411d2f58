//! HTTP clients, which are tower services, and requests in one line.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Service, ServiceExt};

/// hyper-util's client, whose answers have `Incoming` bodies, which nobody else can make.
pub type HyperClient = Client<HttpConnector, Empty<Bytes>>;

/// A client that speaks HTTP/1.
pub fn http1() -> HyperClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// A client that speaks HTTP/2 from the first byte ("prior knowledge").
pub fn http2() -> HyperClient {
    Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http()
}

/// A request without a body.
pub fn request(method: Method, uri: &str) -> Request<Empty<Bytes>> {
    Request::builder()
        .method(method)
        .uri(uri)
        .body(Empty::new())
        .unwrap()
}

/// A GET.
pub fn get(uri: &str) -> Request<Empty<Bytes>> {
    request(Method::GET, uri)
}

/// Makes a call on a service as soon as that is ready.
pub async fn call<S, Req>(service: &mut S, request: Req) -> S::Response
where
    S: Service<Req, Error: std::fmt::Debug>,
{
    service.ready().await.unwrap().call(request).await.unwrap()
}

/// The same, and reads the answer to its end.
pub async fn read<S, Req, B>(service: &mut S, request: Req) -> Response<Bytes>
where
    S: Service<Req, Response = Response<B>, Error: std::fmt::Debug>,
    B: Body<Error: std::fmt::Debug>,
{
    let (head, body) = call(service, request).await.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}
