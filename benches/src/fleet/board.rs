//! Where replicas write down when they have heard.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

/// A place for each replica. The last to hear wakes whoever waits, so that nobody's waiting takes time from theirs.
#[derive(Debug)]
pub(super) struct Board {
    /// Since when times are counted.
    epoch: Instant,
    /// When the flag was flipped, in nanoseconds since then.
    begun: AtomicU64,
    /// When each has heard, in nanoseconds since then; zero for who has not.
    heard: Box<[AtomicU64]>,
    missing: AtomicUsize,
    /// Why somebody hears no more.
    lost: Mutex<Option<String>>,
    changed: Notify,
}

impl Board {
    pub(super) fn new(replicas: usize) -> Self {
        Self {
            epoch: Instant::now(),
            begun: AtomicU64::new(0),
            heard: (0..replicas).map(|_| AtomicU64::new(0)).collect(),
            missing: AtomicUsize::new(replicas),
            lost: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Nobody has heard, and the time begins to run. Only when all had heard of what was before.
    pub(super) fn clear(&self) {
        for place in &self.heard {
            place.store(0, Ordering::Relaxed);
        }
        self.missing.store(self.heard.len(), Ordering::SeqCst);
        self.begun.store(self.now(), Ordering::SeqCst);
    }

    /// The replica of this number has heard.
    pub(super) fn heard(&self, number: usize) {
        let now = self.now();
        let first = self.heard[number].swap(now, Ordering::SeqCst) == 0;
        if first && self.missing.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.changed.notify_one();
        }
    }

    /// One of them will not hear, for this reason.
    pub(super) fn lost(&self, reason: String) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.get_or_insert(reason);
        drop(lost);
        self.changed.notify_one();
    }

    /// Waits for all, at most for so long, and says how long each has taken.
    pub(super) async fn all(&self, at_most: Duration) -> Result<Vec<Duration>, String> {
        let all = async {
            while self.missing.load(Ordering::SeqCst) > 0 {
                if let Some(reason) = self.reason() {
                    return Err(format!("a replica was cut off: {reason}"));
                }
                self.changed.notified().await;
            }
            Ok(())
        };
        timeout(at_most, all).await.unwrap_or_else(|_| {
            let missing = self.missing.load(Ordering::SeqCst);
            Err(format!(
                "{missing} replicas had not heard after {at_most:?}"
            ))
        })?;
        let begun = self.begun.load(Ordering::SeqCst);
        let taken = |place: &AtomicU64| place.load(Ordering::SeqCst).saturating_sub(begun);
        let nanoseconds = self.heard.iter().map(taken);
        Ok(nanoseconds.map(Duration::from_nanos).collect())
    }

    fn reason(&self) -> Option<String> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.clone()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn all_have_heard_when_the_last_has() {
        let board = Board::new(2);
        board.clear();
        board.heard(1);
        // Twice the same is still one.
        board.heard(1);
        let why = "1 replicas had not heard after 20ms".to_owned();
        assert_eq!(board.all(SOON).await, Err(why));
        board.heard(0);
        assert_eq!(board.all(SOON).await.map(|heard| heard.len()), Ok(2));
    }

    #[tokio::test]
    async fn the_time_begins_anew_with_each_flip() {
        let board = Board::new(1);
        std::thread::sleep(SOON);
        let begun = Instant::now();
        board.clear();
        board.heard(0);
        let most = begun.elapsed();
        let heard = board.all(SOON).await;
        assert!(heard.is_ok_and(|heard| heard[0] <= most));
        board.clear();
        assert!(board.all(SOON).await.is_err());
    }

    #[tokio::test]
    async fn one_that_is_cut_off_says_why() {
        let board = Board::new(1);
        board.lost("closed".to_owned());
        let why = "a replica was cut off: closed".to_owned();
        assert_eq!(board.all(SOON).await, Err(why));
    }
}
