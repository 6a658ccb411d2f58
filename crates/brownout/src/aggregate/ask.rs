//! How a part is asked, how its errors are read, and what stands in for it.

use std::fmt;

use crate::core::Cause;

/// Makes a part's request of the incoming one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` makes no request for a part out of `{Seen}`",
    note = "a part is asked with a clone of what comes in (which must be `Clone`), or with what `.asking(|request: &{Seen}| …)` makes of it"
)]
pub trait Ask<Seen> {
    /// The part's request.
    type Request;

    /// Makes it.
    fn ask(&self, seen: &Seen) -> Self::Request;
}

/// Asks a part with a clone of what comes in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whole(pub(super) ());

impl<Seen: Clone> Ask<Seen> for Whole {
    type Request = Seen;

    #[inline]
    fn ask(&self, seen: &Seen) -> Seen {
        seen.clone()
    }
}

/// Asks a part with what a closure makes of the incoming request.
#[derive(Clone, Copy)]
pub struct Asking<F>(pub(super) F);

impl<Seen, F, Q> Ask<Seen> for Asking<F>
where
    F: Fn(&Seen) -> Q,
{
    type Request = Q;

    #[inline]
    fn ask(&self, seen: &Seen) -> Q {
        (self.0)(seen)
    }
}

/// Makes a [`Cause`] of a part's error.
#[diagnostic::on_unimplemented(
    message = "nothing says what the error `{E}` of a part means",
    note = "`{E}` must be `Display` and `'static`, or say `.causes(|error: &{E}| Cause::failed(\"…\"))`"
)]
pub trait Explain<E> {
    /// What the error says.
    fn explain(&self, error: &E) -> Cause;
}

/// Explains any error by its `Display`, and finds a refusal or a refused connection in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByDisplay(pub(super) ());

impl<E: fmt::Display + 'static> Explain<E> for ByDisplay {
    fn explain(&self, error: &E) -> Cause {
        Cause::of_error(error)
    }
}

/// Explains errors by a closure of `Fn(&E) -> Cause`.
#[derive(Clone, Copy)]
pub struct ByClosure<F>(pub(super) F);

impl<E, F: Fn(&E) -> Cause> Explain<E> for ByClosure<F> {
    fn explain(&self, error: &E) -> Cause {
        (self.0)(error)
    }
}

/// What stands in for a part that failed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not stand in for a part that answers `{T}`",
    note = "`.or(value)` and `.or_with(|cause| value)` take a value of the part's own type, `{T}`"
)]
pub trait StandIn<T> {
    /// The value, if there is one.
    fn stand_in(&self, cause: &Cause) -> Option<T>;
}

/// Nothing does: the part is missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing(pub(super) ());

impl<T> StandIn<T> for Nothing {
    #[inline]
    fn stand_in(&self, _: &Cause) -> Option<T> {
        None
    }
}

/// A value does.
#[derive(Clone, Copy, Debug)]
pub struct This<T>(pub(super) T);

impl<T: Clone> StandIn<T> for This<T> {
    fn stand_in(&self, _: &Cause) -> Option<T> {
        Some(self.0.clone())
    }
}

/// What a closure makes of the cause does.
#[derive(Clone, Copy)]
pub struct Made<F>(pub(super) F);

impl<T, F: Fn(&Cause) -> T> StandIn<T> for Made<F> {
    fn stand_in(&self, cause: &Cause) -> Option<T> {
        Some((self.0)(cause))
    }
}

impl<F> fmt::Debug for Asking<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asking")
    }
}

impl<F> fmt::Debug for ByClosure<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByClosure")
    }
}

impl<F> fmt::Debug for Made<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Made")
    }
}
