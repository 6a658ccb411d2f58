//! Messages to subscribers.

use brownout_registry::fleet::{Message, StoreTime, Version, limits};

use super::stack::change;
use super::{FORMAT, Fault, MAX_MESSAGE, NOT_OURS, next, parts};

/// What a replica tells itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Canary {
    /// From whoever uses the store, to whoever listens.
    Ping(u64),
    /// From a subscription to itself.
    Own(u64),
}

impl Canary {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Ping(number) => format!("{FORMAT} ping {number}"),
            Self::Own(number) => format!("{FORMAT} own {number}"),
        }
    }
}

/// What a message on a canary channel says.
pub(crate) fn canary(payload: &[u8]) -> Result<Canary, Fault> {
    let mut parts = parts(readable(payload)?, 2)?;
    match (parts.next(), next(&mut parts)?) {
        (Some("ping"), number) => Ok(Canary::Ping(number)),
        (Some("own"), number) => Ok(Canary::Own(number)),
        _ => Err(NOT_OURS),
    }
}

/// What a message on the channel of changes says.
pub(crate) fn message(payload: &[u8]) -> Result<Message, Fault> {
    let mut lines = readable(payload)?.split('\n');
    let mut parts = parts(lines.next().unwrap_or_default(), 3)?;
    let version = Version {
        epoch: next(&mut parts)?,
        revision: next(&mut parts)?,
    };
    let now = StoreTime(next(&mut parts)?);
    let value = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let member = parts.next().unwrap_or_default();
        let until = StoreTime(next(&mut parts)?);
        change(member, version, until, parts.next().unwrap_or_default())
    };
    let changes: Vec<_> = lines.map(value).collect::<Result<_, _>>()?;
    if changes.is_empty() || changes.len() > limits::COUNTS.max(limits::WRITES) {
        return Err(NOT_OURS);
    }
    Ok(Message::Changed {
        version,
        now,
        changes,
    })
}

fn readable(payload: &[u8]) -> Result<&str, Fault> {
    if payload.len() > MAX_MESSAGE {
        return Err(Fault::Damaged("a message is larger than any of ours"));
    }
    std::str::from_utf8(payload).map_err(|_| NOT_OURS)
}

#[cfg(test)]
mod tests {
    use brownout_registry::fleet::{Change, Trip};

    use super::*;

    #[test]
    fn canaries_come_back_as_they_were() {
        for sent in [Canary::Ping(u64::MAX), Canary::Own(0)] {
            assert_eq!(canary(sent.text().as_bytes()), Ok(sent));
        }
    }

    #[test]
    fn a_message_is_read_as_the_scripts_write_it() {
        let told =
            message(b"1 1790000000000000 7 1790000000001\nt:search 1790000300001 \no:level 5 8 []");
        let Ok(Message::Changed {
            version,
            now,
            changes,
        }) = told
        else {
            panic!("it was read as {told:?}");
        };
        assert_eq!(
            (version.epoch, version.revision),
            (1_790_000_000_000_000, 7)
        );
        assert_eq!(now, StoreTime(1_790_000_000_001));
        let trip = Trip {
            flag: "search".into(),
            until: StoreTime(1_790_000_300_001),
        };
        assert_eq!(changes[0], Change::Trip(trip));
        assert!(matches!(&changes[1], Change::Stack(stack) if stack.entries.is_empty()));
    }

    #[test]
    fn newer_formats_are_told_from_garbage() {
        assert_eq!(
            message(b"2 anything at all"),
            Err(Fault::Newer("2".to_owned()))
        );
        let garbage: &[&[u8]] = &[
            b"", b"1", b"1 2", b"1 2 3", b"1 2 3 4", b"1 2 3 x\nt:a 5 ", b"hello", b"\xff", b"1 2 3 4\n",
            b"1 2 3 4\nx:a 5 ", b"1 2 3 4\nt:a:b 5 ", b"1 2 3 4\no:flag:a 5 8 {", b"1 2 3 4\no:flag:a 5 []", b"1 2 3 4\no:flag:a 5 x []", b"1 2 3 4\no:nothing 5 8 []",
            b"-1 2 3 4\nt:a 5 ", b"1 2 3 4\no:flag:a 5 8 [{\"id\":1,\"value\":\"healthy\",\"actor\":\"a\",\"reason\":\"b\",\"set\":1,\"until\":2}]",
        ];
        for garbage in garbage {
            let told = message(garbage);
            assert!(
                matches!(told, Err(Fault::Damaged(_))),
                "{garbage:?}: {told:?}"
            );
        }
    }
}
