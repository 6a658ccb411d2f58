//! Request bodies over real connections: kept, passed on and broken off, over HTTP/1 and HTTP/2.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::convert::Infallible;

use ::axum::{Router, body::Body, extract::Request, response::Response, routing::post};
use brownout::http::{ReplayBody, ReplayLayer};
use brownout_tests::{Server, client::read, server::Hits};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tower::{BoxError, Layer, Service, ServiceBuilder, service_fn};

/// A client whose requests have bodies.
fn uploader<B>(version: Version) -> Client<HttpConnector, B>
where
    B: http_body::Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new())
        .http2_only(version == Version::HTTP_2)
        .build_http()
}

/// Answers with the request's body, and says in the head how it was framed.
async fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let shown = |headers: &HeaderMap, name| {
        let value = headers.get(name).cloned();
        value.unwrap_or(HeaderValue::from_static("none"))
    };
    Response::builder()
        .header("x-length", shown(&head.headers, "content-length"))
        .header("x-encoding", shown(&head.headers, "transfer-encoding"))
        .header("x-checksum", shown(&trailers, "checksum"))
        .body(Body::from(body.to_bytes()))
        .unwrap()
}

/// How a request was framed when it arrived: its length, its encoding, its trailer.
fn framing(response: &http::Response<Bytes>) -> [&str; 3] {
    ["x-length", "x-encoding", "x-checksum"].map(|name| response.headers()[name].to_str().unwrap())
}

/// An upload of unknown size, in three pieces.
fn streamed(with_trailers: bool) -> impl http_body::Body<Data = Bytes, Error = BoxError> + Send {
    let mut trailers = HeaderMap::new();
    trailers.insert("checksum", "7".parse().unwrap());
    let pieces =
        ["one ", "two ", "three"].map(|piece| Frame::data(Bytes::from_static(piece.as_bytes())));
    let end = with_trailers.then(|| Frame::trailers(trailers));
    StreamBody::new(stream::iter(pieces.into_iter().chain(end).map(Ok)))
}

fn upload<B>(uri: &str, body: B) -> http::Request<B> {
    http::Request::post(uri)
        .header(header::TRAILER, "checksum")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn a_client_sends_what_is_kept_with_its_length() {
    let server = Server::axum(Router::new().route("/", post(echo))).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut client = ServiceBuilder::new()
            .layer(ReplayLayer::new())
            .service(uploader(version));
        for size in [0, 5, 65_536, 3_000_000] {
            let request = || {
                let body = Full::new(Bytes::from(vec![b'x'; size]));
                upload(&server.uri("/"), body)
            };
            let bare = read(&mut uploader(version), request()).await;
            let answer = read(&mut client, request()).await;
            assert_eq!(framing(&answer), framing(&bare));
            assert_eq!(answer.body().len(), size);
            if size > 0 {
                assert_eq!(framing(&answer)[0], size.to_string());
            }
        }
    }
}

#[tokio::test]
async fn a_streamed_upload_is_sent_as_it_streams_and_with_its_length_where_it_is_kept() {
    let server = Server::axum(Router::new().route("/", post(echo))).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let chunked = if version == Version::HTTP_2 {
            "none"
        } else {
            "chunked"
        };
        for (layer, with_trailers, seen) in [
            (ReplayLayer::new(), false, ["none", chunked, "none"]),
            (ReplayLayer::new(), true, ["none", chunked, "7"]),
            (
                ReplayLayer::new().of_unknown_size(),
                false,
                ["13", "none", "none"],
            ),
            (
                ReplayLayer::new().of_unknown_size(),
                true,
                ["none", chunked, "7"],
            ),
            (
                ReplayLayer::new().of_unknown_size().limit(9),
                true,
                ["none", chunked, "7"],
            ),
        ] {
            let mut client = layer.layer(uploader(version));
            let answer = read(
                &mut client,
                upload(&server.uri("/"), Box::pin(streamed(with_trailers))),
            )
            .await;
            assert_eq!(framing(&answer), seen);
            assert_eq!(answer.body(), "one two three");
        }
    }
}

#[tokio::test]
async fn a_router_takes_the_layer_as_it_is() {
    for layer in [
        ReplayLayer::new(),
        ReplayLayer::new().of_unknown_size(),
        ReplayLayer::new().of_unknown_size().limit(9),
        ReplayLayer::new().limit(0),
    ] {
        let app = Router::new().route("/", post(echo)).layer(layer);
        let server = Server::axum(app).await;
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let small = read(
                &mut uploader(version),
                upload(&server.uri("/"), Full::new(Bytes::from("small"))),
            )
            .await;
            assert_eq!(framing(&small), ["5", "none", "none"]);
            assert_eq!(small.body(), "small");
            let big = Bytes::from(vec![b'x'; 3_000_000]);
            let answer = read(
                &mut uploader(version),
                upload(&server.uri("/"), Full::new(big.clone())),
            )
            .await;
            assert_eq!(answer.body(), &big);
            let streamed = read(
                &mut uploader(version),
                upload(&server.uri("/"), Box::pin(streamed(true))),
            )
            .await;
            assert_eq!(framing(&streamed)[2], "7");
            assert_eq!(streamed.body(), "one two three");
        }
    }
}

/// Sends a request on to another server.
async fn forward(
    mut request: http::Request<ReplayBody<Incoming>>,
    to: String,
) -> Result<http::Response<Incoming>, BoxError> {
    *request.uri_mut() = to.parse()?;
    *request.version_mut() = Version::HTTP_11;
    Ok(uploader(Version::HTTP_11).call(request).await?)
}

/// A proxy that asks a mirror where the primary fails, if it can.
async fn proxy(layer: ReplayLayer, primary: String, mirror: String) -> Server {
    let service = ServiceBuilder::new().layer(layer).service(service_fn(
        move |request: http::Request<ReplayBody<Incoming>>| {
            let (primary, mirror) = (primary.clone(), mirror.clone());
            async move {
                let (head, body) = request.into_parts();
                let again = body.again();
                let first = forward(http::Request::from_parts(head.clone(), body), primary).await;
                let answer = match (first, again) {
                    (Ok(answer), _) if answer.status().is_success() => Ok(answer),
                    (_, Some(body)) => forward(http::Request::from_parts(head, body), mirror).await,
                    (failed, None) => failed,
                };
                Ok::<_, Infallible>(answer.map_or_else(
                    |_| {
                        let mut response = http::Response::new(Body::empty());
                        *response.status_mut() = StatusCode::BAD_GATEWAY;
                        response
                    },
                    |answer| answer.map(Body::new),
                ))
            }
        },
    ));
    Server::hyper(service).await
}

#[tokio::test]
async fn a_proxy_makes_an_upload_again_at_the_mirror_after_the_primary_has_read_it() {
    let app = |hits: &Hits| {
        let hits = hits.clone();
        let fails = async move |body: Bytes| {
            assert!(!body.is_empty());
            hits.hit();
            StatusCode::SERVICE_UNAVAILABLE
        };
        Router::new()
            .route("/fails", post(fails))
            .route("/", post(echo))
    };
    let hits = Hits::default();
    let upstream = Server::axum(app(&hits)).await;
    let proxy = proxy(
        ReplayLayer::new().of_unknown_size(),
        upstream.uri("/fails"),
        upstream.uri("/"),
    )
    .await;
    for (n, version) in [Version::HTTP_11, Version::HTTP_2].into_iter().enumerate() {
        let small = upload(&proxy.uri("/"), Full::new(Bytes::from("small")));
        let answer = read(&mut uploader(version), small).await;
        assert_eq!(answer.body(), "small");
        assert_eq!(framing(&answer), ["5", "none", "none"]);
        let in_chunks = upload(&proxy.uri("/"), Box::pin(streamed(true)));
        let answer = read(&mut uploader(version), in_chunks).await;
        assert_eq!(answer.body(), "one two three");
        assert_eq!(framing(&answer), ["none", "chunked", "7"]);
        // Too large to be kept.
        let large = upload(&proxy.uri("/"), Full::new(Bytes::from(vec![b'x'; 100_000])));
        let answer = read(&mut uploader(version), large).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(hits.count(), 3 * (n + 1));
    }
}

/// What a handler saw of an upload: its bytes, and whether it ended well.
type Seen = (Bytes, bool);

/// A handler that tells what it sees of each upload.
fn telling() -> (Router, mpsc::UnboundedReceiver<Seen>) {
    let (tell, seen) = mpsc::unbounded_channel();
    let handler = post(async move |request: Request| {
        let mut body = request.into_body();
        let mut data = Vec::new();
        let mut well = true;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                well = false;
                break;
            };
            data.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
        let _ = tell.send((data.into(), well));
    });
    (Router::new().route("/", handler), seen)
}

/// Begins an upload, and breaks it off.
async fn broken_off(server: &Server, framing: &str, body: &str) {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nhost: shop\r\n{framing}\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    // Until the server has closed it too.
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

const LENGTH: (&str, &str) = ("content-length: 10", "seven!!");
const CHUNKS: (&str, &str) = ("transfer-encoding: chunked", "4\r\nseve\r\n3\r\nn!!\r\n");

#[tokio::test]
async fn an_upload_that_breaks_off_is_seen_as_without_the_layer() {
    for (framing, body) in [LENGTH, CHUNKS] {
        let (app, mut bare) = telling();
        broken_off(&Server::axum(app).await, framing, body).await;
        let expected = bare.recv().await.unwrap();
        assert_eq!(expected, (Bytes::from("seven!!"), false));
        for layer in [
            ReplayLayer::new(),
            ReplayLayer::new().of_unknown_size(),
            ReplayLayer::new().of_unknown_size().limit(5),
        ] {
            let (app, mut seen) = telling();
            broken_off(&Server::axum(app.layer(layer)).await, framing, body).await;
            assert_eq!(seen.recv().await.unwrap(), expected);
        }
    }
}

/// The same over HTTP/2, where a broken upload is a reset of its stream.
async fn reset(server: &Server) {
    let pieces = stream::iter([Ok(Frame::data(Bytes::from("seven!!")))]);
    let breaks = stream::once(async {
        // The data goes out first, and the reset after it.
        tokio::task::yield_now().await;
        Err(BoxError::from("gone"))
    });
    let body = StreamBody::new(Box::pin(futures_util::StreamExt::chain(pieces, breaks)));
    let upload = http::Request::post(server.uri("/"))
        .header(header::CONTENT_LENGTH, "10")
        .body(body)
        .unwrap();
    assert!(uploader(Version::HTTP_2).call(upload).await.is_err());
}

#[tokio::test]
async fn an_upload_whose_stream_is_reset_is_not_taken_for_a_whole_one() {
    for layer in [ReplayLayer::new(), ReplayLayer::new().limit(9)] {
        let (app, mut seen) = telling();
        reset(&Server::axum(app.layer(layer)).await).await;
        let (data, well) = seen.recv().await.unwrap();
        assert!(!well);
        // A reset may overtake what was sent before it.
        assert!(b"seven!!".starts_with(&data));
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_does_not_reach_the_server_behind_a_proxy_as_a_whole() {
    let (app, mut seen) = telling();
    let upstream = Server::axum(app).await;
    let uri = upstream.uri("/");
    let layer = ReplayLayer::new().of_unknown_size();
    let proxy = proxy(layer, uri.clone(), uri).await;
    for (framing, body) in [LENGTH, CHUNKS] {
        broken_off(&proxy, framing, body).await;
        let answer = read(
            &mut uploader(Version::HTTP_11),
            upload(&proxy.uri("/"), Full::new(Bytes::from("whole"))),
        )
        .await;
        assert_eq!(answer.status(), StatusCode::OK);
        let mut uploads = Vec::new();
        while !uploads.iter().any(|(_, well)| *well) {
            uploads.extend(seen.recv().await);
        }
        let (whole, broken): (Vec<Seen>, _) = uploads.into_iter().partition(|(_, well)| *well);
        assert_eq!(whole, [(Bytes::from("whole"), true)]);
        assert!(broken.len() <= 1);
    }
}
