use http_body::SizeHint;
use tower_layer::Layer;

use super::service::Replay;

const DEFAULT_LIMIT: usize = 64 * 1024;

/// Reads small request bodies into memory, so that the services below can make a request again.
///
/// The service below gets requests with a [`ReplayBody`](super::ReplayBody), and must be `Clone`: the instance that was
/// ready waits with the request while its body is read, and the next request gets another. Answers and errors are the
/// service's own.
///
/// See the [module](super) for which bodies are kept, and where in a stack the layer stands.
#[derive(Clone, Copy, Debug)]
pub struct ReplayLayer {
    choice: Choice,
}

/// Which bodies are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    limit: usize,
    of_unknown_size: bool,
}

impl ReplayLayer {
    /// Keeps bodies whose size is known and at most 64 KiB.
    pub const fn new() -> Self {
        Self {
            choice: Choice {
                limit: DEFAULT_LIMIT,
                of_unknown_size: false,
            },
        }
    }

    /// The size up to which a body is kept, in bytes. Default: 64 KiB. With 0, only empty bodies are.
    ///
    /// Memory goes up to this, times the requests in flight.
    pub const fn limit(mut self, bytes: usize) -> Self {
        self.choice.limit = bytes;
        self
    }

    /// Reads bodies of unknown size too, up to the limit: those of unary gRPC calls, for example, or chunked uploads.
    ///
    /// Never do this for streaming calls: the caller of a bidirectional one may wait for an answer before it sends on,
    /// while the service that would answer is called only when the body has ended.
    pub const fn of_unknown_size(mut self) -> Self {
        self.choice.of_unknown_size = true;
        self
    }
}

impl Default for ReplayLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl Choice {
    /// How many bytes of a body of this size may be read into memory, if it is to be kept.
    #[inline]
    pub(super) fn bound(self, size: SizeHint) -> Option<usize> {
        let within = |bytes: u64| usize::try_from(bytes).ok().filter(|&n| n <= self.limit);
        match size.exact() {
            Some(bytes) => within(bytes),
            None if self.of_unknown_size => {
                within(size.lower())?;
                Some(size.upper().and_then(within).unwrap_or(self.limit))
            }
            None => None,
        }
    }
}

impl<S> Layer<S> for ReplayLayer {
    type Service = Replay<S>;

    fn layer(&self, inner: S) -> Replay<S> {
        Replay::new(inner, self.choice)
    }
}
