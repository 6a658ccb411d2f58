//! Flags as the registry knows them: places for what is decided about a name.

use std::sync::Arc;

use super::fleet::Trip;
use super::{MAX_NAMES, Place, State, room};
use crate::dependency::{is_name, name_rule};
use crate::error::RegisterError;
use crate::stack::Stack;
use crate::text::cut;

#[derive(Debug)]
pub(super) struct Flag {
    pub(super) name: Arc<str>,
    pub(super) overrides: Stack,
    pub(super) trip: Trip,
    pub(super) queued: Option<u64>,
}

/// Places of flags that nobody in this process has ever asked for, and about which nothing is decided any more.
///
/// Names come from a fleet's store too, and others over time: what such a name leaves behind is the next one's.
#[derive(Debug, Default)]
pub(super) struct IdleFlags {
    /// Found when they were last looked for; some may be in use again.
    found: Vec<u32>,
    /// So many places there are when it is time to look again.
    look_at: usize,
    /// Whether something that had an end has reached it since they were last looked for.
    pub(super) freed: bool,
}

/// They are looked for when there are so many places more: each new one then costs little of that.
const LOOK_AGAIN: usize = 4_096;

impl State {
    /// Where the overrides of the flag with this name are.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Place, RegisterError> {
        if let Some(&index) = self.flag_names.get(name) {
            return Ok(Place::Flag(index));
        }
        if !is_name(name) {
            let dependency = cut(name, 64).to_owned();
            return Err(RegisterError::Invalid {
                dependency,
                field: "name",
                allowed: name_rule(),
            });
        }
        let name: Arc<str> = name.into();
        let flag = Flag {
            name: Arc::clone(&name),
            overrides: Stack::default(),
            trip: Trip::default(),
            queued: None,
        };
        let index = if let Some(index) = self.idle_flags.take(&self.flags) {
            let before = std::mem::replace(&mut self.flags[index as usize], flag);
            self.flag_names.remove(&before.name);
            index
        } else {
            let index = room(self.flags.len())?;
            self.flags.push(flag);
            index
        };
        self.flag_names.insert(name, index);
        Ok(Place::Flag(index))
    }
}

impl IdleFlags {
    fn take(&mut self, flags: &[Flag]) -> Option<u32> {
        // Of as many as there may be, there will never be more.
        let is_full = flags.len() >= MAX_NAMES && self.freed;
        if self.found.is_empty() && (is_full || flags.len() >= self.look_at.max(LOOK_AGAIN)) {
            let idle = (0..).zip(flags).filter(|(_, flag)| flag.is_idle());
            self.found = idle.map(|(index, _)| index).collect();
            self.look_at = flags.len() + LOOK_AGAIN;
            self.freed = false;
        }
        while let Some(index) = self.found.pop() {
            if flags[index as usize].is_idle() {
                return Some(index);
            }
        }
        None
    }
}

impl Flag {
    /// Whether nobody holds anything of it: no cell was made for a layer, and nothing has an end that is still to come.
    fn is_idle(&self) -> bool {
        self.overrides.is_idle() && self.trip.is_idle() && self.queued.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::events::EventLog;

    #[tokio::test]
    async fn a_registry_that_was_full_of_flags_has_room_when_they_are_over() {
        let mut state = State::new(Clock::start(), 0, false, Arc::new(EventLog::new()));
        for number in 0..MAX_NAMES {
            state.flag(&format!("brief-{number}")).unwrap();
            // As if something of it had an end that is to come.
            state.flags[number].queued = Some(1);
        }
        assert!(state.flag("one-too-many").is_err());
        for index in 0..100 {
            state.requeue_place(Place::Flag(index));
        }
        for number in 0..100 {
            let place = state.flag(&format!("late-{number}")).unwrap();
            let Place::Flag(index) = place else { continue };
            state.flags[index as usize].queued = Some(1);
        }
        assert!(state.flag("one-too-many").is_err());
    }
}
