//! Counts by word, for whatever is rare enough that one counter can be shared by all threads.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Counts by a few keys that the program's text fixes: reasons, causes, pairs of states.
#[derive(Debug)]
pub(crate) struct Tally<K, const ROOM: usize = 16> {
    slots: [Slot<K>; ROOM],
}

#[derive(Debug)]
struct Slot<K> {
    key: OnceLock<K>,
    count: AtomicU64,
}

impl<K: Copy + PartialEq, const ROOM: usize> Tally<K, ROOM> {
    pub(crate) fn new() -> Self {
        Self {
            slots: std::array::from_fn(|_| Slot {
                key: OnceLock::new(),
                count: AtomicU64::new(0),
            }),
        }
    }

    /// Counts one. Beyond `ROOM` keys, which nobody has, it is not counted.
    pub(crate) fn add(&self, key: K) {
        let slot = self
            .slots
            .iter()
            .find(|slot| *slot.key.get_or_init(|| key) == key);
        if let Some(slot) = slot {
            slot.count.fetch_add(1, Relaxed);
        }
    }

    /// What was counted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, u64)> {
        self.slots
            .iter()
            .map_while(|slot| Some((*slot.key.get()?, slot.count.load(Relaxed))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_a_count_of_its_own() {
        let tally = Tally::<_, 4>::new();
        for word in ["a", "b", "a", "c", "a"] {
            tally.add(word);
        }
        assert_eq!(
            tally.iter().collect::<Vec<_>>(),
            [("a", 3), ("b", 1), ("c", 1)]
        );
    }

    #[test]
    fn more_keys_than_there_is_room_for_disturb_no_other() {
        let tally = Tally::<_, 2>::new();
        for number in 0..100 {
            tally.add(number % 5);
        }
        assert_eq!(tally.iter().collect::<Vec<_>>(), [(0, 20), (1, 20)]);
    }
}
