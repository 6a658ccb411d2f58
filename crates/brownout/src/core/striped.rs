//! Copies of what threads would otherwise contend for, on cache lines of their own.

use super::threads;

/// How many threads can write without sharing a cache line. A constant, so that its cost is the same on every machine.
const STRIPES: usize = 8;

/// One copy for each of a few threads. Whoever reads adds them up.
#[derive(Debug)]
pub(crate) struct Striped<T> {
    stripes: Box<[Stripe<T>; STRIPES]>,
}

/// Two cache lines at least: adjacent ones are fetched in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Stripe<T>(T);

impl<T> Striped<T> {
    pub(crate) fn new(make: impl Fn() -> T) -> Self {
        Self {
            stripes: Box::new(std::array::from_fn(|_| Stripe(make()))),
        }
    }

    /// The calling thread's.
    #[inline]
    pub(crate) fn mine(&self) -> &T {
        &self.stripes[threads::number() % STRIPES].0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.stripes.iter().map(|stripe| &stripe.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    #[test]
    fn what_threads_have_written_apart_is_read_together() {
        let counts = Striped::new(|| AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| counts.mine().fetch_add(1, Relaxed));
            }
        });
        assert_eq!(
            counts.iter().map(|count| count.load(Relaxed)).sum::<u64>(),
            20
        );
    }

    #[test]
    fn two_threads_write_to_different_cache_lines() {
        let counts = Striped::new(|| AtomicU64::new(0));
        let mine = std::ptr::from_ref(counts.mine()).addr();
        let stripes: Vec<_> = counts
            .iter()
            .map(|it| std::ptr::from_ref(it).addr())
            .collect();
        assert!(stripes.contains(&mine));
        assert!(stripes.windows(2).all(|pair| pair[1] - pair[0] >= 128));
    }
}
