//! Stacks and trips.

use std::borrow::Cow;

use brownout_registry::fleet::{
    Change, Stack, StackEntry, StackWrite, Stamp, StoreTime, Trip, Version, limits,
};
use brownout_registry::{FleetOverrideId, OverrideValue, Target};
use serde::{Deserialize, Serialize};

use super::{Fault, NOT_OURS, is_name, is_text, next, parts};

#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    id: u64,
    #[serde(borrow)]
    value: Cow<'a, str>,
    #[serde(borrow)]
    actor: Cow<'a, str>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    set: u64,
    until: u64,
}

/// What is written of a stack.
pub(crate) fn payload(write: &StackWrite) -> String {
    let entry = |entry: &StackEntry| {
        let entry = Entry {
            id: entry.id.as_u64(),
            value: entry.value.as_str().into(),
            actor: (&*entry.actor).into(),
            reason: (&*entry.reason).into(),
            set: entry.set_at.0,
            until: entry.until.0,
        };
        serde_json::to_string(&entry).unwrap_or_default()
    };
    let entries = write.entries.iter().take(limits::ENTRIES);
    let entries: Vec<String> = entries.map(entry).collect();
    format!("{} [{}]", write.tag, entries.join(","))
}

/// A stamp, as the scripts read it off a value.
pub(crate) fn stamp(stamp: Stamp) -> String {
    let Stamp { version, tag } = stamp;
    format!("{} {} {tag}", version.epoch, version.revision)
}

/// The value of that member of the index: what it is and in which epoch it was written.
pub(crate) fn value(member: &str, text: &str) -> Result<(u64, Change), Fault> {
    let mut parts = parts(text, 4)?;
    let version = Version {
        epoch: next(&mut parts)?,
        revision: next(&mut parts)?,
    };
    let until = StoreTime(next(&mut parts)?);
    let change = change(member, version, until, parts.next().unwrap_or_default())?;
    Ok((version.epoch, change))
}

/// What a member's payload says.
pub(super) fn change(
    member: &str,
    version: Version,
    until: StoreTime,
    payload: &str,
) -> Result<Change, Fault> {
    match member.split_once(':') {
        Some(("o", target)) => {
            let target: Target = target.parse().map_err(|_| NOT_OURS)?;
            let (tag, entries) = payload.split_once(' ').ok_or(NOT_OURS)?;
            let tag = tag.parse().map_err(|_| NOT_OURS)?;
            let entries = stack(&target, entries)?;
            Ok(Change::Stack(Stack {
                target,
                stamp: Stamp { version, tag },
                entries,
                until,
            }))
        }
        Some(("t", flag)) if is_name(flag) => Ok(Change::Trip(Trip {
            flag: flag.into(),
            until,
        })),
        _ => Err(NOT_OURS),
    }
}

fn stack(target: &Target, payload: &str) -> Result<Vec<StackEntry>, Fault> {
    let entries: Vec<Entry<'_>> = serde_json::from_str(payload).map_err(|_| NOT_OURS)?;
    if entries.len() > limits::ENTRIES {
        return Err(Fault::Damaged("it has more entries than a stack may have"));
    }
    let entry = |entry: Entry<'_>| {
        if !is_text(&entry.actor) || !is_text(&entry.reason) {
            return Err(Fault::Damaged("its actor or reason is no text of ours"));
        }
        let value = OverrideValue::named(target, &entry.value);
        Ok(StackEntry {
            id: FleetOverrideId::from_u64(entry.id),
            value: value.ok_or(Fault::Damaged("it imposes what this version does not know"))?,
            actor: entry.actor.into(),
            reason: entry.reason.into(),
            set_at: StoreTime(entry.set),
            until: StoreTime(entry.until),
        })
    };
    entries.into_iter().map(entry).collect()
}
