use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

/// A whole body in memory, and how much of it has been given.
pub(super) struct Kept {
    bytes: Bytes,
    /// Shared, so that making the body again copies nothing.
    trailers: Option<Arc<HeaderMap>>,
    next: Next,
    sized: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Data,
    Trailers,
    End,
}

impl Kept {
    #[inline]
    pub(super) fn new(bytes: Bytes) -> Self {
        Self::from_start(bytes, None, true)
    }

    /// With what came after the data, if anything did. The body had said its size, or had not.
    pub(super) fn with_trailers(bytes: Bytes, trailers: Option<HeaderMap>, sized: bool) -> Self {
        Self::from_start(bytes, trailers.map(Arc::new), sized)
    }

    #[inline]
    pub(super) fn again(&self) -> Self {
        Self::from_start(self.bytes.clone(), self.trailers.clone(), self.sized)
    }

    #[inline]
    fn from_start(bytes: Bytes, trailers: Option<Arc<HeaderMap>>, sized: bool) -> Self {
        let next = match (bytes.is_empty(), &trailers) {
            (false, _) => Next::Data,
            (true, Some(_)) => Next::Trailers,
            (true, None) => Next::End,
        };
        Self {
            bytes,
            trailers,
            next,
            sized,
        }
    }

    pub(super) fn next_frame(&mut self) -> Option<Frame<Bytes>> {
        match self.next {
            Next::Data => {
                self.next = match self.trailers {
                    Some(_) => Next::Trailers,
                    None => Next::End,
                };
                Some(Frame::data(self.bytes.clone()))
            }
            Next::Trailers => {
                self.next = Next::End;
                let trailers = self.trailers.as_deref().cloned();
                trailers.map(Frame::trailers)
            }
            Next::End => None,
        }
    }

    pub(super) fn is_end(&self) -> bool {
        self.next == Next::End
    }

    /// How much data is still to be given.
    ///
    /// A body that had not said its size says it now, unless it has trailers: on HTTP/1 they are sent only after chunks,
    /// and a sender that knows the size makes none.
    pub(super) fn left(&self) -> SizeHint {
        let bytes = match self.next {
            Next::Data => self.bytes.len() as u64,
            Next::Trailers | Next::End => 0,
        };
        if self.sized || self.trailers.is_none() {
            return SizeHint::with_exact(bytes);
        }
        let mut at_least = SizeHint::new();
        at_least.set_lower(bytes);
        at_least
    }
}
