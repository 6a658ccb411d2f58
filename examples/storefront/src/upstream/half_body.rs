//! An answer that breaks off: its head promises a whole body, half of it is sent, and the connection is cut.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::body::Frame;

/// Far above any body of the services here.
const MAX_BODY: usize = 64 * 1024;

/// What the server is given to send.
#[derive(Debug)]
enum HalfBody {
    Half(Bytes),
    /// Lets the server send what it has before it learns that there is no more.
    Sent,
    Cut,
}

/// Cuts an answer's body in half and leaves its length as it was.
pub(super) async fn cut(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(whole) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    head.headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let half = whole.slice(..whole.len() / 2);
    Response::from_parts(head, Body::new(HalfBody::Half(half)))
}

impl hyper::body::Body for HalfBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        match std::mem::replace(this, Self::Cut) {
            Self::Half(bytes) => {
                *this = Self::Sent;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Sent => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            // An error in the body is what makes the server cut the connection.
            Self::Cut => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
        }
    }
}
