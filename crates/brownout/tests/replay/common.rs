//! Bodies sent through the layer, and read again.

use std::{future::poll_fn, pin::pin, time::Duration};

use brownout::http::{ReplayBody, ReplayLayer};
use brownout_testing::{
    Behaviour, MockBody, ProbeHandle, ProbeService, TestError,
    body::{Step, data, trailers},
};
use http::{HeaderMap, Request};
use http_body::Body;
use tower::{Layer, ServiceExt};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) type Outgoing = Request<ReplayBody<MockBody>>;
/// A service that answers with the body it was given.
pub(crate) type Echo = ProbeService<Outgoing, ReplayBody<MockBody>, TestError>;
pub(crate) type EchoHandle = ProbeHandle<Outgoing, ReplayBody<MockBody>, TestError>;

pub(crate) fn echo() -> (Echo, EchoHandle) {
    ProbeService::with(echoing())
}

pub(crate) fn echoing() -> Behaviour<Outgoing, ReplayBody<MockBody>, TestError> {
    Behaviour::answer(|request: Outgoing| Ok(request.into_body()))
}

/// The body that the inner service gets in place of this one.
pub(crate) async fn through(layer: ReplayLayer, body: MockBody) -> ReplayBody<MockBody> {
    let answer = layer.layer(echo().0).oneshot(Request::new(body)).await;
    answer.unwrap()
}

/// All that a body gave until its end or its error.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Read {
    pub(crate) frames: usize,
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) error: Option<TestError>,
}

pub(crate) async fn read<B: Body<Error = TestError>>(body: B) -> Read
where
    B::Data: AsRef<[u8]>,
{
    let mut body = pin!(body);
    let mut read = Read::default();
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => read.data.extend_from_slice(data.as_ref()),
            Ok(Err(frame)) => read.trailers = frame.into_trailers().ok(),
            Err(error) => {
                read.error = Some(error);
                return read;
            }
        }
        read.frames += 1;
    }
    read
}

/// What was read of a body of this text, in one frame.
pub(crate) fn text(text: &str) -> Read {
    Read {
        frames: usize::from(!text.is_empty()),
        data: text.into(),
        ..Read::default()
    }
}

pub(crate) fn checksum() -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert("checksum", "7".parse().unwrap());
    map
}

/// A chunked body: of unknown size, and no frame is known to be the last.
pub(crate) fn chunked(steps: impl IntoIterator<Item = Step<TestError>>) -> MockBody {
    MockBody::new(steps)
        .with_unknown_size()
        .with_end_stream(false)
}

pub(crate) fn in_three_frames() -> [Step<TestError>; 4] {
    [
        data("one "),
        data("two "),
        data("three"),
        trailers(checksum()),
    ]
}
