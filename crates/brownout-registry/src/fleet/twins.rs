//! Two processes under one name: what is heard of the other.

use tokio::time::Instant;

use super::contact::NEWS_AGAIN;

/// Messages of another process to a replica of this one's name.
#[derive(Debug, Default)]
pub(super) struct Twins {
    heard: u32,
    /// When the last one came that was one too many.
    last: Option<Instant>,
}

/// So many may be of a process that has just made room for this one.
const FAREWELLS: u32 = 2;

impl Twins {
    /// One has come. Says whether that is news.
    pub(super) fn heard(&mut self, now: Instant) -> bool {
        self.heard = self.heard.saturating_add(1);
        if self.heard <= FAREWELLS {
            return false;
        }
        let last = self.last.replace(now);
        last.is_none_or(|last| now >= last + NEWS_AGAIN)
    }
}
