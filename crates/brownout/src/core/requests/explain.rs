//! What errors prove: whether the call that failed was sent.

use std::fmt;

use crate::core::Cause;

/// Makes a [`Cause`] of an error.
pub trait Explain<E> {
    /// What the error says, and what it proves.
    fn explain(&self, error: &E) -> Cause;
}

/// Explains any error by its `Display`, and finds a refusal or a refused connection in what the error itself is: a
/// [`Rejected`](crate::core::Rejected), a [`std::io::Error`], or one of them in a box.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByDisplay(pub(crate) ());

impl<E: fmt::Display + 'static> Explain<E> for ByDisplay {
    fn explain(&self, error: &E) -> Cause {
        Cause::of_error(error)
    }
}

/// Explains errors by a closure of `Fn(&E) -> Cause`.
#[derive(Clone, Copy)]
pub struct ByClosure<F>(pub(crate) F);

impl<E, F: Fn(&E) -> Cause> Explain<E> for ByClosure<F> {
    #[inline]
    fn explain(&self, error: &E) -> Cause {
        (self.0)(error)
    }
}

impl<F> fmt::Debug for ByClosure<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByClosure")
    }
}

/// Explains errors of a transport: as [`ByDisplay`] does, and a refused connection is found in any of a boxed error's
/// sources.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Transport(pub(crate) ());

#[cfg(feature = "http")]
impl<E: fmt::Display + 'static> Explain<E> for Transport {
    fn explain(&self, error: &E) -> Cause {
        Cause::of_transport(error)
    }
}

/// Explains errors of a transport that are [`Error`](std::error::Error)s of their own: a refused connection is found in
/// any of their sources.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources(pub(crate) ());

#[cfg(feature = "http")]
impl<E: std::error::Error + 'static> Explain<E> for Sources {
    fn explain(&self, error: &E) -> Cause {
        Cause::of_sources(error)
    }
}
