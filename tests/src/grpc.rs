//! A gRPC service and its client, as `tonic-build` would write them.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, future::BoxFuture, stream};
use http::{HeaderMap, HeaderValue, uri::PathAndQuery};
use http_body::{Body as HttpBody, Frame};
use http_body_util::{BodyExt, StreamBody};
use prost::Message;
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    client::GrpcService,
    server::{NamedService, ServerStreamingService, UnaryService},
};
use tonic_prost::ProstCodec;
use tower::BoxError;

use crate::server::Hits;

/// What a caller asks of the [`Meter`], down to how it shall fail.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Ask {
    /// How many ticks to send.
    #[prost(uint32, tag = "1")]
    pub ticks: u32,
    /// The status to end with.
    #[prost(int32, tag = "2")]
    pub code: i32,
    /// Whether never to end.
    #[prost(bool, tag = "3")]
    pub endless: bool,
}

impl Ask {
    /// So many ticks, then a good end.
    pub fn ticks(ticks: u32) -> Self {
        Self {
            ticks,
            ..Self::default()
        }
    }

    /// An end with this status.
    pub fn then(self, code: Code) -> Self {
        Self {
            code: code.into(),
            ..self
        }
    }

    /// No end.
    pub fn then_nothing(self) -> Self {
        Self {
            endless: true,
            ..self
        }
    }

    /// The status alone.
    pub fn status(code: Code) -> Self {
        Self::ticks(0).then(code)
    }

    fn end(self) -> Result<(), Status> {
        match Code::from(self.code) {
            Code::Ok => Ok(()),
            code => Err(Status::new(code, "as asked")),
        }
    }
}

/// One message of the [`Meter`].
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Tick {
    /// Counts from 1.
    #[prost(uint32, tag = "1")]
    pub number: u32,
}

/// The server's side: `Read` answers once, `Watch` with a stream.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// How many calls have come.
    pub hits: Hits,
}

impl NamedService for Meter {
    const NAME: &'static str = "meter.Meter";
}

impl tower::Service<http::Request<Body>> for Meter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.hits.hit();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::default());
            Ok(match request.uri().path() {
                "/meter.Meter/Read" => grpc.unary(Read, request).await,
                "/meter.Meter/Watch" => grpc.server_streaming(Watch, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

#[derive(Debug)]
struct Read;

impl UnaryService<Ask> for Read {
    type Response = Tick;
    type Future = Ready<Result<Response<Tick>, Status>>;

    fn call(&mut self, request: Request<Ask>) -> Self::Future {
        let answer = request.into_inner().end();
        ready(answer.map(|()| Response::new(Tick { number: 1 })))
    }
}

#[derive(Debug)]
struct Watch;

type Ticks = Pin<Box<dyn Stream<Item = Result<Tick, Status>> + Send>>;

impl ServerStreamingService<Ask> for Watch {
    type Response = Tick;
    type ResponseStream = Ticks;
    type Future = Ready<Result<Response<Ticks>, Status>>;

    fn call(&mut self, request: Request<Ask>) -> Self::Future {
        let ask = request.into_inner();
        let ticks = stream::iter(1..=ask.ticks).map(|number| Ok(Tick { number }));
        let stream: Ticks = if ask.endless {
            Box::pin(ticks.chain(stream::pending()))
        } else {
            Box::pin(ticks.chain(stream::iter(ask.end().err().map(Err))))
        };
        ready(Ok(Response::new(stream)))
    }
}

/// An answer with one message, as something that is no gRPC server makes it: a tier, say.
pub fn tick(number: u32) -> http::Response<Body> {
    let message = Tick { number }.encode_to_vec();
    // Not compressed, and its length ("gRPC over HTTP2").
    let mut data = vec![0];
    data.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    data.extend(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [Frame::data(Bytes::from(data)), Frame::trailers(trailers)];
    http::Response::builder()
        .header("content-type", "application/grpc")
        .body(Body::new(StreamBody::new(stream::iter(
            frames.map(Ok::<_, Infallible>),
        ))))
        .unwrap()
}

/// What a request asks that somebody else than a gRPC server has received.
pub async fn asked<B>(request: http::Request<B>) -> Ask
where
    B: HttpBody<Error: std::fmt::Debug>,
{
    let message = request.into_body().collect().await.unwrap().to_bytes();
    Ask::decode(message.slice(5..)).unwrap()
}

/// The client's side, over a channel or whatever has been put around one.
#[derive(Clone, Debug)]
pub struct MeterClient<T> {
    grpc: tonic::client::Grpc<T>,
}

impl<T> MeterClient<T>
where
    T: GrpcService<Body>,
    T::ResponseBody: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    /// A client over this transport.
    pub fn new(transport: T) -> Self {
        Self {
            grpc: tonic::client::Grpc::new(transport),
        }
    }

    /// A unary call.
    pub async fn read(&mut self, ask: Ask) -> Result<Tick, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/meter.Meter/Read");
        let answer = self
            .grpc
            .unary(Request::new(ask), path, ProstCodec::default())
            .await?;
        Ok(answer.into_inner())
    }

    /// A call that answers with a stream.
    pub async fn watch(&mut self, ask: Ask) -> Result<Streaming<Tick>, Status> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/meter.Meter/Watch");
        let answer = self
            .grpc
            .server_streaming(Request::new(ask), path, ProstCodec::default())
            .await?;
        Ok(answer.into_inner())
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.grpc
            .ready()
            .await
            .map_err(|error| Status::from_error(error.into()))
    }
}
