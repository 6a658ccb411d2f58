//! How values and messages are written: format 1.
//!
//! A value begins with its format, the epoch and revision in which it was written, and its end; the scripts read and
//! write that much, and compare the tag of a stack. What follows, its entries, is JSON that scripts do not look into.
//! Summaries have no version.
//!
//! ```text
//! 1 <epoch> <revision> <until> <tag> [{"id":…,"value":"degraded","actor":…,"reason":…,"set":…,"until":…},…]
//! 1 <until> {"level":"full","health":"healthy","dependencies":3,"sick":[["payments","unhealthy"]],"flags":[]}
//! ```
//!
//! A message is one line for what all its values have in common, and one for each value, whole:
//!
//! ```text
//! 1 <epoch> <revision> <now>
//! o:flag:search <until> <tag> [{"id":…},…]
//! t:search <until>
//! ```

mod message;
mod stack;
mod summary;

use std::str::{FromStr, SplitN};

use crate::error::RedisStoreError;

pub(crate) use self::message::{Canary, canary, message};
pub(crate) use self::stack::{payload, stamp, value};
pub(crate) use self::summary::{summary, summary_text};

/// The format that this version writes.
pub(crate) const FORMAT: &str = "1";

/// No value is longer: eight entries whose texts are all escaped take 10 KiB, as do the 32 names of a summary.
pub(crate) const MAX_VALUE: usize = 16 << 10;

/// No message is longer: it has at most 256 values, of which 64 can be stacks.
pub(crate) const MAX_MESSAGE: usize = 1 << 20;

/// What makes a text unreadable to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Damaged(&'static str),
    Newer(String),
}

impl Fault {
    /// The fault of that key or channel.
    pub(crate) fn of(self, key: String) -> RedisStoreError {
        match self {
            Self::Damaged(fault) => RedisStoreError::Damaged {
                key,
                fault: fault.to_owned(),
            },
            Self::Newer(format) => RedisStoreError::Newer { key, format },
        }
    }
}

const NOT_OURS: Fault = Fault::Damaged("it is not written as ours are");

/// The parts of a line, behind its format.
fn parts(line: &str, count: usize) -> Result<SplitN<'_, char>, Fault> {
    let mut parts = line.splitn(count + 1, ' ');
    match parts.next() {
        Some(FORMAT) => Ok(parts),
        Some(format)
            if (1..=9).contains(&format.len())
                && format.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Err(Fault::Newer(format.to_owned()))
        }
        _ => Err(NOT_OURS),
    }
}

fn next<T: FromStr>(parts: &mut SplitN<'_, char>) -> Result<T, Fault> {
    parts
        .next()
        .and_then(|part| part.parse().ok())
        .ok_or(NOT_OURS)
}

/// Whether it is as short as texts of people are, and cannot forge a line of a log.
fn is_text(text: &str) -> bool {
    text.len() <= brownout_registry::Order::MAX_TEXT && !text.chars().any(char::is_control)
}

/// Whether it can be the name of a dependency or flag.
fn is_name(name: &str) -> bool {
    brownout_registry::fleet::ReplicaId::new(name).is_ok()
}
