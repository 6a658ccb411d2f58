//! What a call costs: our layers and the peers, measured in one run with one method.
//!
//! A [`Subject`](subjects::Subject) builds one service under test and says which row and column of the table it
//! fills. Four instruments read it:
//!
//! | instrument | unit | asserted? |
//! |---|---|---|
//! | [`count`] | instructions a call, by callgrind | yes |
//! | [`alloc`] | allocations a call, by a counting allocator | yes |
//! | [`scaling`] | calls a second of two threads ÷ those of one | yes, against a control in the same run |
//! | [`time`] | nanoseconds a call | never |
//!
//! A fifth, [`load`], reads no subject: it puts real servers under load and says what a stack leaves of their requests a
//! second. A sixth, [`fleet`], says how fast many replicas hear of a flip through a real Redis.
//!
//! [`budget`] holds what each path may cost, [`gate`] compares, [`table`] prints. `cargo xtask bench` runs it all;
//! `cargo bench -p brownout-benches` gives Criterion's confidence intervals for the times of the same subjects.
//!
//! # What is driven
//!
//! The inner service answers at once with a ready future. The loop does what a caller does (`poll_ready`, `call`,
//! poll to the end) with a waker that does nothing, in two [`Shape`](drive::Shape)s: one instance used again and
//! again, and a clone made for each call, which is what axum and hyper do. Everything is built outside the loop.
//!
//! Layers that only HTTP services have are driven through whole exchanges, whose cost without a layer is a row of its own.
//! What each row means is in the package's README.
//!
//! ```
//! use brownout_benches::{alloc, drive::Shape, subjects};
//!
//! let bare = subjects::find("bare/floor").expect("the bare service is always there");
//! assert_eq!(alloc::measure(bare, Shape::Reused).known(), Some(&0.0));
//! ```

pub mod alloc;
pub mod budget;
pub mod count;
pub mod drive;
pub mod figure;
pub mod fleet;
pub mod gate;
pub mod json;
pub mod load;
pub mod measure;
pub mod scaling;
pub mod subjects;
pub mod table;
pub mod time;
