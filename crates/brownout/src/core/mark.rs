use std::fmt;

use super::{Degraded, collector, span};

/// Marks an answer that somebody gave in the place of the service that was asked.
///
/// It sits on the layer rather than on the answer's type, so that types of other crates can be marked too.
pub trait MarkDegraded<Res> {
    /// Whether there is anything to mark; a mark is not even made where there is not.
    const MARKS: bool = true;

    /// Adds the mark to the answer.
    fn mark(&self, response: &mut Res, mark: Degraded);
}

/// Marks an answer, and tells whoever collects the marks of the request that it is made for: the one way in which layers
/// do it. The mark is not even made where nobody would see it.
#[allow(
    clippy::inline_always,
    reason = "where nobody sees marks, an answer of a tier costs two loads for them"
)]
#[inline(always)]
pub(crate) fn add<Res, M: MarkDegraded<Res>>(
    strategy: &M,
    response: &mut Res,
    by: &str,
    make: impl FnOnce() -> Degraded,
) {
    span::degraded(by);
    if M::MARKS || collector::may_be_collecting() {
        show(strategy, response, make);
    }
}

#[cold]
fn show<Res, M: MarkDegraded<Res>>(
    strategy: &M,
    response: &mut Res,
    make: impl FnOnce() -> Degraded,
) {
    let collecting = collector::is_collecting();
    if !M::MARKS && !collecting {
        return;
    }
    let mark = make();
    if collecting {
        collector::collect(&mark);
    }
    if M::MARKS {
        strategy.mark(response, mark);
    }
}

/// Leaves answers as they are. What `for_results()` picks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmarked(pub(crate) ());

impl<Res> MarkDegraded<Res> for Unmarked {
    const MARKS: bool = false;

    #[inline]
    fn mark(&self, _: &mut Res, _: Degraded) {}
}

/// Marks by a closure.
#[derive(Clone, Copy)]
pub struct MarkWith<F>(pub(crate) F);

impl<Res, F: Fn(&mut Res, Degraded)> MarkDegraded<Res> for MarkWith<F> {
    fn mark(&self, response: &mut Res, mark: Degraded) {
        (self.0)(response, mark);
    }
}

impl<F> fmt::Debug for MarkWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MarkWith")
    }
}

/// Adds to the [`Marks`](super::Marks) in a response's extensions. What `for_http()` and `for_grpc()` pick.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, Default)]
pub struct InExtensions(pub(crate) ());

#[cfg(feature = "http")]
impl<B> MarkDegraded<http::Response<B>> for InExtensions {
    fn mark(&self, response: &mut http::Response<B>, mark: Degraded) {
        response
            .extensions_mut()
            .get_or_insert_default::<super::Marks>()
            .push(mark);
    }
}
