//! What a script has answered.

use std::vec;

use redis::Value;

use crate::error::RedisStoreError;
use crate::peer::Peer;
use crate::scripts::answer;
use crate::server::text;

/// The answer of a script that has run, item by item.
#[derive(Debug)]
pub(crate) struct Reply {
    items: vec::IntoIter<Value>,
    /// Whether it found no epoch.
    pub(crate) is_none: bool,
    pub(crate) now: u64,
    address: String,
}

impl Reply {
    /// The server's time, if it could be read; and the result, told from what scripts answer in its place.
    pub(crate) fn new(value: Value, peer: &Peer) -> (Option<u64>, Result<Self, RedisStoreError>) {
        let mut reply = Self {
            items: match value {
                Value::Array(items) => items,
                _ => Vec::new(),
            }
            .into_iter(),
            is_none: false,
            now: 0,
            address: peer.address.clone(),
        };
        let head = reply.text().and_then(|kind| Ok((kind, reply.number()?)));
        match head {
            Ok((kind, now)) => {
                reply.now = now;
                (Some(now), reply.judged(&kind))
            }
            Err(error) => (None, Err(error)),
        }
    }

    fn judged(mut self, kind: &str) -> Result<Self, RedisStoreError> {
        match kind {
            answer::OK => Ok(self),
            answer::NONE => {
                self.is_none = true;
                Ok(self)
            }
            answer::LATE => Err(RedisStoreError::Late {
                address: self.address,
            }),
            answer::FULL => Err(RedisStoreError::Full {
                limit: self.text()?,
                address: self.address,
            }),
            answer::BAD => Err(RedisStoreError::Damaged {
                key: self.text()?,
                fault: self.text()?,
            }),
            answer::NEWER => Err(RedisStoreError::Newer {
                key: self.text()?,
                format: self.text()?,
            }),
            _ => Err(strange(&self.address)),
        }
    }

    /// The next item, as text. What is not UTF-8 in it has become U+FFFD.
    pub(crate) fn text(&mut self) -> Result<String, RedisStoreError> {
        self.next_text().ok_or_else(|| strange(&self.address))
    }

    /// The next item, as a number.
    pub(crate) fn number(&mut self) -> Result<u64, RedisStoreError> {
        let number = match self.items.next() {
            Some(Value::Int(number)) => u64::try_from(number).ok(),
            Some(value) => text(&value).and_then(|text| text.parse().ok()),
            None => None,
        };
        number.ok_or_else(|| strange(&self.address))
    }

    /// Whether there is more.
    pub(crate) fn is_over(&self) -> bool {
        self.items.len() == 0
    }

    fn next_text(&mut self) -> Option<String> {
        match self.items.next()? {
            Value::BulkString(bytes) => Some(
                String::from_utf8(bytes)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            ),
            Value::SimpleString(text) => Some(text),
            Value::Okay => Some("OK".to_owned()),
            _ => None,
        }
    }
}

fn strange(address: &str) -> RedisStoreError {
    RedisStoreError::Unsupported {
        address: address.to_owned(),
        detail: "it answers our scripts in another way than Redis does".to_owned(),
    }
}
