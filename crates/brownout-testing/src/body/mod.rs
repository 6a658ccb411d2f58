//! HTTP bodies made for a test: what they yield, when, and how they were treated.
//!
//! A [`MockBody`] is a list of [`Step`]s: data, trailers, an error, pauses. Its size hint and end-of-stream mark are honest
//! unless told otherwise. [`MockBody::watched`] gives a [`BodyWatch`] that tells whether the body was polled, read to its
//! end, or dropped midway or untouched.
//!
//! A body that is not `Send`, `Sync` or `Clone` is made with [`NotSend`](crate::NotSend) and its siblings.
//!
//! # Examples
//!
//! ```
//! use brownout_testing::body::{MockBody, data, error};
//! use brownout_testing::TestError;
//! use http_body::Body;
//! use std::future::poll_fn;
//! use std::pin::pin;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (body, watch) = MockBody::new([data("hello"), error(TestError::new("reset"))]).watched();
//! {
//!     let mut body = pin!(body);
//!     let frame = poll_fn(|cx| body.as_mut().poll_frame(cx)).await.unwrap().unwrap();
//!     assert_eq!(frame.into_data().unwrap(), "hello");
//! }
//! assert_eq!(watch.bytes(), 5);
//! assert!(watch.dropped_midway());
//! # }
//! ```

mod mock;
mod watch;

pub use self::mock::{MockBody, Step, data, delay, error, hang, hold, panic, pending, trailers};
pub use self::watch::BodyWatch;
