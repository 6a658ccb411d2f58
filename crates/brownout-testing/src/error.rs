//! The error of services under test.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// Any error, as tower's own layers return it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A small error that says what the test told it to say.
///
/// It converts into [`BoxError`] like any error. It has no `From<&str>`, which would leave the error type of a service
/// under test ambiguous.
///
/// # Examples
///
/// ```
/// use brownout_testing::{BoxError, TestError};
///
/// let error = TestError::new("connection reset");
/// assert_eq!(error.to_string(), "connection reset");
///
/// let boxed = BoxError::from(error.clone());
/// assert_eq!(boxed.downcast_ref(), Some(&error));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TestError {
    text: Cow<'static, str>,
}

impl TestError {
    /// Makes an error with this text.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into() }
    }
}

impl fmt::Display for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for TestError {}
