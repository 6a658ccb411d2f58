use std::mem;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

use super::kept::Kept;

/// What has been read of a body.
pub(super) struct Pieces {
    data: Data,
    trailers: Option<HeaderMap>,
    /// How many bytes there may be.
    bound: usize,
}

/// The data of a body, in the order in which it came.
///
/// One frame is kept as it is. More are copied together, because a small frame may hold on to the large buffer that it
/// was received in: a body of many would hold many times its own size.
#[derive(Default)]
struct Data {
    /// All there is, as long as it came in one frame.
    first: Bytes,
    /// All there is, if it came in several.
    joined: Vec<u8>,
}

impl Pieces {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            data: Data::default(),
            trailers: None,
            bound,
        }
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// Adds a frame; gives it back if it can't be kept: beyond the bound, or after the trailers, or of an unknown kind.
    pub(super) fn add(&mut self, frame: Frame<Bytes>) -> Result<(), Frame<Bytes>> {
        if self.trailers.is_some() {
            return Err(frame);
        }
        let frame = match frame.into_data() {
            Ok(data) if data.len() <= self.bound - self.len() => {
                self.data.push(data, self.bound);
                return Ok(());
            }
            Ok(data) => return Err(Frame::data(data)),
            Err(frame) => frame,
        };
        self.trailers = Some(frame.into_trailers()?);
        Ok(())
    }

    /// All of it, as a whole body, which had said its size or had not.
    pub(super) fn take(&mut self, sized: bool) -> Kept {
        Kept::with_trailers(self.data.take(), self.trailers.take(), sized)
    }

    /// All of it, frame by frame.
    pub(super) fn next_frame(&mut self) -> Option<Frame<Bytes>> {
        if self.data.len() > 0 {
            return Some(Frame::data(self.data.take()));
        }
        self.trailers.take().map(Frame::trailers)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0 && self.trailers.is_none()
    }
}

impl Data {
    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    /// There will be at most `bound` bytes in all, so no more than that is reserved.
    fn push(&mut self, piece: Bytes, bound: usize) {
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        let total = self.len() + piece.len();
        if total > self.joined.capacity() {
            // Twice as much each time, as a `Vec` grows by itself; but never beyond the bound.
            let capacity = total.max(bound.min(self.joined.capacity().saturating_mul(2)));
            self.joined.reserve_exact(capacity - self.joined.len());
        }
        self.joined.extend_from_slice(&mem::take(&mut self.first));
        self.joined.extend_from_slice(&piece);
    }

    fn take(&mut self) -> Bytes {
        if self.joined.is_empty() {
            mem::take(&mut self.first)
        } else {
            mem::take(&mut self.joined).into()
        }
    }
}
