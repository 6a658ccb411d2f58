//! A number for each thread, by which threads choose among copies of what they would otherwise contend for.

use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(UNNUMBERED) };
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

const UNNUMBERED: usize = usize::MAX;

/// A number for the calling thread; threads that ask for the first time one after another get different ones.
#[inline]
pub(crate) fn number() -> usize {
    // A thread that is going down has lost its number; any copy will do for it.
    NUMBER
        .try_with(|number| match number.get() {
            UNNUMBERED => {
                let fresh = NEXT.fetch_add(1, Relaxed) % UNNUMBERED;
                number.set(fresh);
                fresh
            }
            known => known,
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_its_number_and_others_have_different_ones() {
        let mine = number();
        assert_eq!(number(), mine);
        let others: Vec<_> = (0..3)
            .filter_map(|_| std::thread::spawn(number).join().ok())
            .collect();
        assert_eq!(others.len(), 3);
        for (index, other) in others.iter().enumerate() {
            assert_ne!(*other, mine);
            assert!(!others[..index].contains(other));
        }
    }
}
