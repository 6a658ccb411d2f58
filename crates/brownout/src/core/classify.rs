use super::Verdict;

/// Turns the outcome of a call into a [`Verdict`].
///
/// Closures of `Fn(Result<&Res, &E>) -> Verdict` implement it. One that looks into the error needs its type spelled
/// out: `|r: Result<&_, &MyError>| …`.
///
/// A classifier that panics fails the call it was asked about (the panic goes on to the caller); the pattern that
/// asked takes the call as abandoned.
///
/// ```
/// use brownout::core::{Classify, Verdict};
///
/// let teapots_are_fine = |r: Result<&u16, &std::io::Error>| match r {
///     Ok(418) => Verdict::Success,
///     Ok(status) if *status >= 500 => Verdict::Failure,
///     Ok(_) => Verdict::Success,
///     Err(_) => Verdict::Failure,
/// };
/// assert_eq!(teapots_are_fine.classify(Ok(&503)), Verdict::Failure);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not judge `Result<{Res}, {E}>`",
    note = "a classifier is a closure `|r: Result<&{Res}, &{E}>| -> Verdict`, or a type that implements `Classify`"
)]
pub trait Classify<Res, E> {
    /// Judges one outcome.
    fn classify(&self, outcome: Result<&Res, &E>) -> Verdict;
}

impl<F, Res, E> Classify<Res, E> for F
where
    F: Fn(Result<&Res, &E>) -> Verdict,
{
    fn classify(&self, outcome: Result<&Res, &E>) -> Verdict {
        self(outcome)
    }
}

/// Only an `Err` fails; every answer is a success. What `for_results()` picks.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrIsFailure;

impl<Res, E> Classify<Res, E> for ErrIsFailure {
    #[inline]
    fn classify(&self, outcome: Result<&Res, &E>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Failure,
        }
    }
}
