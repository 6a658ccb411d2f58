//! Replay: small request bodies are read into memory, so that a request can be made again.
//!
//! A request whose body streams can be made once: what has been read from it is gone. Whoever wants to make it again, a
//! fallback chain for its next tier, needs the body in memory. That changes the body's type, so it is a layer of its own,
//! which stands *outside* whoever makes requests again, and gives it requests with a [`ReplayBody`].
//!
//! # By default
//!
//! ```
//! use brownout::http::{ReplayBody, ReplayLayer};
//! use http::{Request, Response};
//! use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//! # use http_body::Body;
//! # async fn send(request: Request<ReplayBody<String>>, to: &str) -> Result<Response<String>, BoxError> {
//! #     let mut body = std::pin::pin!(request.into_body());
//! #     let mut text = String::from(to);
//! #     while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
//! #         if to == "primary" { return Err("reset".into()); }
//! #         if let Ok(data) = frame?.into_data() { text.push_str(&String::from_utf8_lossy(&data)); }
//! #     }
//! #     Ok(Response::new(text))
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let client = ServiceBuilder::new().layer(ReplayLayer::new()).service(service_fn(
//!     |request: Request<ReplayBody<_>>| async {
//!         let (head, body) = request.into_parts();
//!         let again = body.again();
//!         // The primary reads all of it, and fails.
//!         match (send(Request::from_parts(head.clone(), body), "primary").await, again) {
//!             (Err(_), Some(body)) => send(Request::from_parts(head, body), "mirror").await,
//!             (answer, _) => answer,
//!         }
//!     },
//! ));
//!
//! let answer = client.oneshot(Request::put("/cart").body(String::from(": 2 pears"))?).await?;
//! assert_eq!(answer.body(), "mirror: 2 pears");
//! # Ok(()) }
//! ```
//!
//! Around a chain, it is one line: `.layer(ReplayLayer::new()).layer(FallbackLayer::for_http()…)`.
//!
//! # Customised
//!
//! ```
//! # use brownout::http::ReplayLayer;
//! // A gRPC channel with unary calls only: their messages have no known size.
//! let layer = ReplayLayer::new().limit(256 * 1024).of_unknown_size();
//! ```
//!
//! # Which bodies are kept
//!
//! | the body | what the inner service gets | can be made again |
//! |---|---|---|
//! | is empty | an empty body, at once | yes |
//! | its size is known and within the limit | all of it, trailers too, once it is there | yes |
//! | its size is known and over the limit | the body itself, at once | no |
//! | its size is not known (chunked; most HTTP/2 and gRPC) | the body itself, at once | no |
//! | the same, with [`of_unknown_size`](ReplayLayer::of_unknown_size), and it ends within the limit | all of it, once it is there | yes |
//! | the same, and it does not | what was read, then the rest as it comes | no |
//! | is longer than it said | what was read, then the rest as it comes | no |
//! | breaks off while it is read | what was read, then its error | no |
//!
//! So the inner service sees the bytes, trailers and error that it would have seen without the layer. A body whose first
//! part was read gives it as one frame, however many it came in.
//!
//! The head is passed on as it is. A kept body has a known size, also if it came in chunks (unless it has trailers, which
//! HTTP/1 can send only after chunks). Where its request still says `Transfer-Encoding: chunked`, hyper sends chunks.
//!
//! # What changes for the inner service
//!
//! A body that is to be kept is read *before* the inner service is called, at the pace of whoever sends it:
//!
//! * The instance that was ready waits with the request, and with it the place that it holds in a `ConcurrencyLimit`
//!   below. Put such limits outside, or bound how long a body may take (tower-http's `RequestBodyTimeout`) outside.
//! * A timeout below does not run yet; one outside does.
//! * Authentication belongs outside too: else the body of a request that will be refused is read first, and a client that
//!   asked by `Expect: 100-continue` is told to go on.
//!
//! # Defaults
//!
//! | setting | default | why |
//! |---|---|---|
//! | [`limit`](ReplayLayer::limit) | 64 KiB | holds nearly every form, command and query; a thousand requests in flight hold 64 MiB at most |
//! | [`of_unknown_size`](ReplayLayer::of_unknown_size) | off | a streaming call's body may wait for an answer, which would wait for the body |
//!
//! # Cancellation
//!
//! Dropping the response future while the body is read drops the body and the service instance that would have been
//! called; nothing was sent, and nothing goes on. So does a panic of the body, which goes on to the caller.
//!
//! # Events
//!
//! None: it decides nothing about a dependency.
//!
//! # Memory and cost
//!
//! A request holds at most the limit, and one frame by which it was exceeded; all requests together, the limit times
//! the requests in flight. Memory is taken as bytes arrive, not when they are promised. (While a buffer grows, there is its
//! predecessor beside it. A body that comes in one frame is kept in the buffer that it was received in. Trailers
//! are not counted: servers bound them.) What makes a body again shares its bytes.
//!
//! A request without a body, and one that is passed on, cost no allocation, no clone of the service and no poll more than
//! without the layer. A body that is kept costs two allocations, and a buffer if it comes in more than one frame.

mod body;
pub mod future;
mod gathering;
mod kept;
mod layer;
mod pieces;
mod service;

pub use self::{body::ReplayBody, layer::ReplayLayer, service::Replay};
