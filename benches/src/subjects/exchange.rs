//! One HTTP exchange, as a server makes it: a request is built, the answer's head awaited, its body read to the end.
//!
//! Layers that wrap a body have their say only while it is read, so a call that stopped at the head would flatter them.
//! What building and reading cost by themselves is the row `http`, which all rows of exchanges stand beside.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready as ready_or};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use http_body::Body;
use http_body_util::{Empty, Full};
use pin_project::pin_project;
use tower_service::Service;

use super::backend::{Fault, Request};

/// A request as the services of these rows get it.
pub(super) type HttpRequest = http::Request<Empty<Bytes>>;

/// Answers every request at once, with a few bytes that are nowhere allocated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page;

impl Service<HttpRequest> for Page {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: HttpRequest) -> Self::Future {
        ready(Ok(http::Response::new(Full::new(Bytes::from_static(
            b"hello",
        )))))
    }
}

/// Turns each call into an exchange with an HTTP service; an answer other than 2xx is a failure.
///
/// The head is never given back: a clone of the service is measured, and must not pay for a copy of what only we need.
#[derive(Debug, Clone)]
pub(super) struct Exchange<S> {
    service: S,
    head: &'static Head,
}

/// What every request says.
#[derive(Debug)]
struct Head {
    uri: Uri,
    headers: Option<HeaderMap>,
}

impl<S> Exchange<S> {
    /// Asks for `path` and says nothing else.
    pub(super) fn get(path: &'static str, service: S) -> Self {
        Self::saying(path, None, service)
    }

    /// Asks for `path` and says what clients commonly do. Making such a request allocates, which belongs to the row's floor;
    /// a layer that keeps a copy of the head shows what that costs.
    pub(super) fn get_with_headers(path: &'static str, service: S) -> Self {
        let headers = [
            (header::HOST, "127.0.0.1:8080"),
            (header::USER_AGENT, "benches/0.1"),
            (header::ACCEPT, "text/plain"),
        ];
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        Self::saying(path, Some(headers.into_iter().collect()), service)
    }

    fn saying(path: &'static str, headers: Option<HeaderMap>, service: S) -> Self {
        let uri = Uri::from_static(path);
        Self {
            service,
            head: Box::leak(Box::new(Head { uri, headers })),
        }
    }
}

impl<S, B> Service<Request> for Exchange<S>
where
    S: Service<HttpRequest, Response = http::Response<B>>,
    B: Body,
{
    type Response = StatusCode;
    type Error = Fault;
    type Future = Exchanging<S::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.service.poll_ready(cx).map_err(|_| Fault::Backend)
    }

    fn call(&mut self, _: Request) -> Self::Future {
        let mut request = HttpRequest::new(Empty::new());
        *request.uri_mut() = self.head.uri.clone();
        if let Some(headers) = &self.head.headers {
            *request.headers_mut() = headers.clone();
        }
        Exchanging::Head(self.service.call(request))
    }
}

/// Waits for the head, then reads the body.
#[pin_project(project = ExchangingProjected)]
#[derive(Debug)]
pub(super) enum Exchanging<F, B> {
    Head(#[pin] F),
    Body(StatusCode, #[pin] B),
}

impl<F, B, E> Future for Exchanging<F, B>
where
    F: Future<Output = Result<http::Response<B>, E>>,
    B: Body,
{
    type Output = Result<StatusCode, Fault>;

    // As hyper does: a body that says it is at its end is not asked for another frame.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.as_mut().project() {
                ExchangingProjected::Head(head) => {
                    let answer = ready_or!(head.poll(cx)).map_err(|_| Fault::Backend)?;
                    let status = answer.status();
                    if !status.is_success() {
                        return Poll::Ready(Err(Fault::Backend));
                    }
                    self.set(Self::Body(status, answer.into_body()));
                }
                ExchangingProjected::Body(status, mut body) => {
                    while !body.is_end_stream() {
                        match ready_or!(body.as_mut().poll_frame(cx)) {
                            Some(Ok(frame)) => drop(frame),
                            Some(Err(_)) => return Poll::Ready(Err(Fault::Backend)),
                            None => break,
                        }
                    }
                    return Poll::Ready(Ok(*status));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::{Answer, ServiceDrive};
    use tower::service_fn;

    #[test]
    fn an_answer_that_says_something_went_wrong_is_a_failure() {
        let broken = service_fn(|_: HttpRequest| {
            let mut answer = http::Response::new(Empty::<Bytes>::new());
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            ready(Ok::<_, Infallible>(answer))
        });
        let mut drive = ServiceDrive::boxed(Exchange::get("/", broken));
        assert_eq!(drive.answer(), Answer::Failure);
    }

    #[test]
    fn the_body_is_read_to_its_end() {
        struct Frames(u32, std::sync::Arc<std::sync::atomic::AtomicU32>);

        impl Body for Frames {
            type Data = Bytes;
            type Error = Infallible;

            fn poll_frame(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
                if self.0 == 0 {
                    return Poll::Ready(None);
                }
                self.0 -= 1;
                self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(b"x")))))
            }
        }

        let read = std::sync::Arc::default();
        let counted = std::sync::Arc::clone(&read);
        let service = service_fn(move |_: HttpRequest| {
            let body = Frames(3, std::sync::Arc::clone(&counted));
            ready(Ok::<_, Infallible>(http::Response::new(body)))
        });
        let mut drive = ServiceDrive::boxed(Exchange::get("/", service));
        assert_eq!(drive.answer(), Answer::Success);
        assert_eq!(read.load(std::sync::atomic::Ordering::Relaxed), 3);
    }
}
