//! Telling the store what flags have counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::counted::{Count, Quorum};
use super::link::Link;
use super::op::StoreOp;
use super::store::FleetStore;
use super::values::limits;

/// What each flag had counted when somebody last looked.
type Totals = BTreeMap<Arc<str>, (u64, u64)>;

/// Sends what has been counted since the last time, for ever.
///
/// What cannot be sent at its time is dropped: later it would count in the wrong place of the window, and after a
/// timeout perhaps twice.
pub(super) async fn keep<S: FleetStore>(link: Arc<Link>, store: Arc<S>) {
    let mut totals = Totals::new();
    let Some(_before) = news(&link, &mut totals) else {
        return;
    };
    loop {
        sleep(link.jitter(link.settings.flush)).await;
        let Some(counts) = news(&link, &mut totals) else {
            return;
        };
        if link.contact.is_in_touch() && !counts.is_empty() {
            send(&link, &*store, counts).await;
        }
    }
}

async fn send<S: FleetStore>(link: &Link, store: &S, mut counts: Vec<Count>) {
    let quorum = quorum(link);
    let mut trouble = None;
    while !counts.is_empty() {
        let part = counts.drain(..counts.len().min(limits::COUNTS)).collect();
        let count = store.count(&link.settings.replica, quorum, part);
        // What is wrong with one flag is no reason not to count those of the next part; that nobody answers is.
        if let Err(error) = link.run(StoreOp::Count, count).await {
            let silent = error.is_silence();
            trouble.get_or_insert(error);
            if silent {
                break;
            }
        }
    }
    match trouble {
        Some(error) => link.contact.refuses(StoreOp::Count, &error),
        None => link.contact.does(StoreOp::Count),
    }
}

/// As many as are set; or all that live, where those are fewer and everybody has had the time to be heard, here and at the
/// store.
fn quorum(link: &Link) -> Quorum {
    let settled = link.settings.all_are_heard();
    let is_settled = link.contact.lasts() >= settled;
    Quorum {
        replicas: link.settings.quorum,
        fewer_after: if is_settled { settled } else { Duration::MAX },
    }
}

/// What flags have counted since the last look; none once the registry is gone.
fn news(link: &Link, totals: &mut Totals) -> Option<Vec<Count>> {
    let counts = link.registry.upgrade()?.meters.counts();
    let mut present: BTreeMap<Arc<str>, Count> = BTreeMap::new();
    for count in counts {
        // Flags of one name are one.
        match present.get_mut(&count.flag) {
            Some(sum) => {
                sum.successes = sum.successes.saturating_add(count.successes);
                sum.failures = sum.failures.saturating_add(count.failures);
            }
            None => drop(present.insert(Arc::clone(&count.flag), count)),
        }
    }
    let before = std::mem::take(totals);
    let mut news = Vec::new();
    for (flag, count) in present {
        let now = (count.successes, count.failures);
        let then = before.get(&flag).copied().unwrap_or_default();
        // One of several flags of the name has gone, or the only one was made anew. What is new in the sum cannot be told
        // from what was told before, and is dropped.
        let then = if then.0 > now.0 || then.1 > now.1 {
            now
        } else {
            then
        };
        totals.insert(flag, now);
        if now != then {
            news.push(Count {
                successes: now.0 - then.0,
                failures: now.1 - then.1,
                ..count
            });
        }
    }
    Some(news)
}
